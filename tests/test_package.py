"""The wheel holds everything the package needs, and runs from a clean environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("agent", "hardware_adapters", "menus", "server", "tools")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A copy without build/: setuptools would pack what an earlier build left there.
    source = tmp_path_factory.mktemp("source") / "project"
    source.mkdir()
    for name in (*ROOMS, "pyproject.toml", "README.md", "LICENSE", "__init__.py", "__main__.py", "py.typed"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return next(out.glob("*.whl"))


def test_every_file_of_the_rooms_is_packed(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"autocomp_mcp/{path.relative_to(ROOT)}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= packed, f"missing from the wheel: {sorted(wanted - packed)}"
    assert not {name for name in packed if name.startswith("autocomp_mcp/tests")}


def test_the_wheel_runs_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    env_dir = tmp_path / "env"
    venv.create(env_dir, with_pip=False)
    python = env_dir / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()
    )  # fmt: skip
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies come from this environment; the package under test comes first on the path.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AUTOCOMP_HOME": str(tmp_path / "home"),
        "NO_COLOR": "1",
    }

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "autocomp_mcp", *args]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    where = subprocess.run(
        [python, "-c", "import autocomp_mcp; print(autocomp_mcp.__file__)"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert str(env_dir) in where
    kernel = tmp_path / "baseline.c"
    problem = "gemmini/gemm-32x32x32"
    listed = run("problems", "--json")
    assert listed.returncode == 0 and "gemmini/gemm" in listed.stdout, listed.stderr
    searched = run("optimize", problem, "--model", "offline", "--max-evaluations", "4", "--json")
    assert searched.returncode == 0, searched.stderr
    kernel.write_text("void solution(const signed char *A, const signed char *B, signed char *C) {}\n")
    evaluated = run("evaluate", problem, str(kernel), "--json")
    assert evaluated.returncode == 1 and '"wrong_result"' in evaluated.stdout, evaluated.stdout + evaluated.stderr
