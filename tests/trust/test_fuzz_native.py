"""gemsim's ELF loader, core, accelerator and job parser on arbitrary bytes, under sanitizers: tests/fuzz/native."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.gemmini.gemsim import SOURCES
from pack_corpus import unpack

pytestmark = pytest.mark.trust
FOLDER = Path(__file__).parents[1] / "fuzz" / "native"
TARGETS = {"elf": "ELF loader", "code": "instructions", "commands": "Gemmini commands", "job": "job files"}
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COVERAGE = "-fsanitize-coverage=trace-pc"
# Not what is fuzzed: the program's own main() and the entry points of libFuzzer.
LEFT_OUT = {"main.c", "libfuzzer.c"}
MUTATIONS = 400  # of each target, after the corpus; --full: as many as fit into its seconds
FULL_S = 600
LIMIT_S = 900.0  # a hang of one input is found by the driver, after ten seconds of the processor


def sanitizing_compiler(folder: Path) -> str | None:
    """A compiler whose sanitizers can be linked and run: some systems have clang without its runtime libraries."""
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    for name in ("gcc", "cc", "clang"):
        compiler = shutil.which(name)
        if compiler is None:
            continue
        build = subprocess.run([compiler, *SANITIZERS, COVERAGE, "-c", probe, "-o", folder / "probe.o"],
                               capture_output=True, check=False)  # fmt: skip
        link = subprocess.run([compiler, *SANITIZERS, probe, "-o", folder / "probe"], capture_output=True, check=False)
        if build.returncode == link.returncode == 0 and subprocess.run([folder / "probe"], check=False).returncode == 0:
            return compiler
    return None


def build(compiler: str, folder: Path) -> Path:
    include = ("-I", str(SOURCES), "-I", str(FOLDER))
    flags = ("-O1", "-g", "-std=c11", "-w", *SANITIZERS, *include)
    objects: list[Path] = []

    def compile_units(units: Sequence[Path], *more: str) -> None:
        """One process per core, since this is what takes the time."""
        for start in range(0, len(units), os.cpu_count() or 1):
            running = []
            for unit in units[start : start + (os.cpu_count() or 1)]:
                objects.append(folder / f"{unit.stem}.o")
                running.append(subprocess.Popen([compiler, *flags, *more, "-c", unit, "-o", objects[-1]]))
            assert all(process.wait() == 0 for process in running)

    units = [path for path in (*SOURCES.glob("*.c"), *FOLDER.glob("*.c")) if path.name not in LEFT_OUT]
    compile_units([path for path in units if path.name != "driver.c"], COVERAGE)
    compile_units([FOLDER / "driver.c"])
    subprocess.run([compiler, *SANITIZERS, *objects, "-lm", "-o", folder / "driver"], check=True)
    return folder / "driver"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    compiler = sanitizing_compiler(folder)
    if compiler is None:
        pytest.skip("NO FUZZING: no compiler here has working address and undefined-behaviour sanitizers")
    return build(compiler, folder)


def fuzz(
    driver: Path, target: str, files: Sequence[Path], folder: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [driver, *more, *files],
        cwd=folder, env={**os.environ, "GEMSIM_FUZZ_TARGET": target, "TMPDIR": str(folder)},
        capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False,
    )  # fmt: skip


@pytest.mark.xdist_group("fuzz-native")
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_breaks_gemsim(target: str, driver: Path, tmp_path: Path, score, how_many) -> None:
    inputs, scratch = tmp_path / "inputs", tmp_path / "scratch"
    inputs.mkdir()
    scratch.mkdir()
    files = unpack(target, inputs)
    assert files
    seconds = how_many(60, FULL_S)
    ended = fuzz(
        driver, target, files, scratch,
        "--mutate", str(how_many(MUTATIONS, 1 << 40)), "--seed", "1", "--seconds", str(seconds),
    )  # fmt: skip
    counted = re.search(r"inputs: (\d+), edges: (\d+)", ended.stderr)
    score(
        f"fuzz, gemsim, {TARGETS[target]}",
        int(counted[1]) if counted and ended.returncode == 0 else 0,
        tried=int(counted[1]) if counted else len(files),
    )
    crash = scratch / "crash"
    assert ended.returncode == 0 and counted, (
        f"{ended.stderr[-4000:]}\ninput: {crash.read_bytes().hex() if crash.exists() else 'unknown'}"
    )
    # Inputs that stop at the first check would find nothing.
    assert int(counted[2]) > {"elf": 200, "code": 1500, "commands": 2000, "job": 150}[target]


@pytest.mark.slow
def test_the_driver_finds_what_is_planted(driver: Path, tmp_path: Path) -> None:
    """A target that breaks on purpose: the sanitizers are on, and the input is kept."""
    planted = tmp_path / "seed"
    planted.write_bytes(b"any")
    for wanted, said in (
        ("overrun", "heap-buffer-overflow"),
        ("overflow", "signed integer overflow"),
        ("hang", "hang:"),
    ):
        ended = fuzz(driver, wanted, [planted], tmp_path)
        assert ended.returncode == 3 and said in ended.stderr, ended.stderr
        assert (tmp_path / "crash").read_bytes() == b"any"
