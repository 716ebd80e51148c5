"""As a user without rights: what root's tests cannot show. Evaluations of each target, and doctor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import autocomp_mcp
import numpy as np
import pytest

pytestmark = pytest.mark.trust
NOBODY = 65534
PROBLEMS = ("gemmini/gemm-32x32x32", "trainium/rmsnorm-128x512", "nvidia/softmax-64x64")
ROW = "evaluations as a user without rights"


def skip(why: str) -> None:
    warnings.warn(f"{why}: NOTHING was tested as another user than root", stacklevel=2)
    pytest.skip(why)


class Nobody:
    """Runs this package as that user, in a home of his own and with a Python that he may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._python = folder / "venv" / "bin" / "python"

    def make(self) -> None:
        """The packages are those of this Python; its own interpreter may lie in a folder of root's."""
        base = next((found for found in self._interpreters() if self._is_ours(found)), None)
        if base is None:
            skip(f"no Python {sys.version_info.major}.{sys.version_info.minor} that another user may run")
        subprocess.run([str(base), "-m", "venv", "--without-pip", self._folder / "venv"], check=True, timeout=120)
        package = self._folder / "package"
        package.mkdir()
        (package / "autocomp_mcp").symlink_to(Path(autocomp_mcp.__file__).parent)
        (places,) = (self._folder / "venv").glob("lib/python*/site-packages")
        (places / "more.pth").write_text(f"{package}\n{Path(np.__file__).parents[1]}\n")
        for name in ("home", "tmp"):
            (self._folder / name).mkdir()
        for path in (self._folder, *self._folder.rglob("*")):
            os.lchown(path, NOBODY, NOBODY)
        seen = self._run([str(self._python), "-c", "import autocomp_mcp.server.cli, numpy, os; assert os.getuid()"])
        if seen.returncode:
            skip(f"another user cannot read this installation ({seen.stderr.strip()[-200:]})")

    def _interpreters(self) -> Iterator[Path]:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        yield Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        for folder in ("/usr/local/bin", "/usr/bin", *os.environ.get("PATH", "").split(os.pathsep)):
            if (path := Path(folder) / name).is_file():
                yield path

    def _is_ours(self, python: Path) -> bool:
        wanted = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]}"
        return self._run([str(python), "-c", f"{wanted}; import venv"]).returncode == 0

    def _run(self, words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all"]
        command += ["sh", "-c", '"$@"', "sh"]  # setpriv itself still finds programs with root's rights
        mine = {"HOME": str(self._folder / "home"), "TMPDIR": str(self._folder / "tmp")}
        mine |= {"AUTOCOMP_HOME": str(self._folder / "home" / "autocomp"), "PATH": os.environ["PATH"]}
        return subprocess.run(
            [*command, *words], env=mine | env, cwd="/", capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run([str(self._python), "-m", "autocomp_mcp", *words])

    def write(self, name: str, text: str) -> str:
        path = self._folder / "home" / name
        path.write_text(text)
        os.chown(path, NOBODY, NOBODY)
        return str(path)


@pytest.fixture(scope="module")
def nobody() -> Iterator[Nobody]:
    if sys.platform != "linux" or os.geteuid() != 0:
        skip("only root can become another user")
    if shutil.which("setpriv") is None:
        skip("there is no setpriv")
    with tempfile.TemporaryDirectory(prefix="autocomp-nobody-") as folder:  # pytest's own are closed to others
        made = Nobody(Path(folder))
        made.make()
        yield made


@pytest.mark.parametrize(
    "problem", [*(pytest.param(name, marks=pytest.mark.slow) for name in PROBLEMS[:2]), PROBLEMS[2]]
)
def test_a_kernel_is_judged(problem: str, nobody: Nobody, score) -> None:
    kernel = nobody.write(problem.split("/")[0], nobody.cli("problems", "--baseline", problem).stdout)
    done = nobody.cli("evaluate", problem, kernel, "--json")
    held = done.returncode == 0 and json.loads(done.stdout)["verdict"] == "passed"
    score(ROW, held)
    assert held, done.stderr[-2000:] + done.stdout[-2000:]


def test_doctor_finds_what_is_needed(nobody: Nobody, score) -> None:
    done = nobody.cli("doctor", "--json")
    said = json.loads(done.stdout)
    lines = {check["name"]: check for check in said["checks"]}
    held = done.returncode == 0 and said["ok"] and lines["sandbox limits"]["ok"]
    score(ROW, held)
    assert held, done.stdout
    assert all(line["mend"] for name, line in lines.items() if name.startswith("sandbox ") and not line["ok"])


def test_a_search_is_driven_and_recorded(nobody: Nobody, score) -> None:
    words = ("optimize", PROBLEMS[0], "--model", "offline", "--reuse", "none", "--max-evaluations", "2", "--json")
    done = nobody.cli(*words)
    held = done.returncode == 0 and json.loads(done.stdout)["evaluations"] == 2
    score(ROW, held)
    assert held, done.stderr[-2000:]
