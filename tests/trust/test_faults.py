"""Engines, compilers and disks that fail: no kernel is blamed, nothing wrong is remembered, the next attempt works.

The promises are in docs/reliability.md; each test is one of its rows.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure, Evaluation
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.gemmini import gemsim
from autocomp_mcp.hardware_adapters.registry import adapter_for
from autocomp_mcp.hardware_adapters.store import Home
from faults import Holding, can_mount, intact, on_small_disk, rows, running, stopped, until, workers
from server_process import ENDLESS, LARGE, clean_environment

pytestmark = pytest.mark.trust
MakeHome = Callable[[Path], Path]
ROW = "faults survived"
SCRIPT = Path(__file__).parents[1] / "fakes" / "evaluate_process.py"
SMALL = {"gemmini": "gemmini/gemm-32x32x32", "trainium": "trainium/rmsnorm-128x512", "nvidia": "nvidia/softmax-64x64"}
PROBLEM = SMALL["gemmini"]
mounts = pytest.mark.skipif(not can_mount(), reason="a process may have no mounts of its own here")


@pytest.fixture
def home(tmp_path: Path, make_home: MakeHome) -> Path:
    return make_home(tmp_path / "home")


def judged(home: Path, problem: str = PROBLEM, *, small_tmp: tuple[Path, str] | None = None) -> str:
    """What evaluate_process.py prints; with its scratch folders on a disk of that size."""
    command, environment = [sys.executable, str(SCRIPT), str(home), problem], clean_environment(home)
    if small_tmp is not None:
        command, environment = on_small_disk(*small_tmp, command), environment | {"TMPDIR": str(small_tmp[0])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def remembered(home: Path) -> list[tuple]:
    if not (home / "autocomp.db").exists():
        return []
    found = rows(home / "autocomp.db", "SELECT name FROM sqlite_master WHERE name = 'evaluations'")
    return rows(home / "autocomp.db", "SELECT evaluation FROM evaluations") if found else []


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, make_home: MakeHome) -> None:
    """Whatever is built once is built: the small disks are for what one evaluation writes."""
    home = make_home(tmp_path_factory.mktemp("warm") / "home")
    assert all(judged(home, problem).startswith("passed") for problem in SMALL.values())


# ---------------------------------------------------------------- disks


@mounts
@pytest.mark.parametrize(
    "target", ["gemmini", *(pytest.param(t, marks=pytest.mark.slow) for t in SMALL if t != "gemmini")]
)
def test_no_room_for_scratch_files(target: str, home: Path, tmp_path: Path, warm: None, score, how_many) -> None:
    """At each size another file is the one that does not fit: source, assembly, program, inputs, outputs."""
    sizes = [f"{n}K" for n in (4, 8, 12, 16, 24, 32, 48, 64, 96, 128)]
    sizes = [sizes[0], sizes[5]][: how_many(2, 0)] or sizes
    said = [judged(home, SMALL[target], small_tmp=(tmp_path / f"tmp{size}", size)) for size in sizes]
    held = [answer.startswith(("EngineFailure", "EnvironmentLackError", "passed")) for answer in said]
    score(ROW, sum(held), len(held))
    assert all(held), said
    assert not said[0].startswith("passed"), "4 KB are enough? then this shows nothing"
    wrong = [row for row in remembered(home) if '"passed"' not in row[0]]
    assert not wrong
    again = judged(home, SMALL[target])
    score(ROW, again.startswith("passed"))
    assert again.startswith("passed"), again


@mounts
def test_a_full_home_costs_the_cache_and_no_verdict(tmp_path: Path, warm: None, builds: Path, score) -> None:
    home = tmp_path / "home"
    script = f"ln -s {builds} {home}/cache; dd if=/dev/zero of={home}/fill bs=1k 2>/dev/null; exec "
    command = ["sh", "-c", script + '"$@"', "sh", sys.executable, str(SCRIPT), str(home), PROBLEM]
    done = subprocess.run(
        on_small_disk(home, "256K", command), env=clean_environment(home), capture_output=True, text=True, timeout=120
    )
    said = done.stdout.strip()
    held = said.startswith(("EngineFailure", "EnvironmentLackError", "passed"))
    score(ROW, held)
    assert held, (said, done.stderr)


# ---------------------------------------------------------------- processes that die or hang


def in_background(home: Path, problem: str, timeout_s: float = 60.0) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(home), problem, str(timeout_s)]
    return subprocess.Popen(command, env=clean_environment(home), stdout=subprocess.PIPE, text=True)


def test_a_simulator_that_is_killed(home: Path, score) -> None:
    working = in_background(home, LARGE)
    assert until(lambda: running(workers(home)))
    victims = [process for process in running(workers(home)) if process.kill()]
    said = working.communicate(timeout=60)[0]
    held = bool(victims) and said.startswith("EngineFailure") and not remembered(home)
    score(ROW, held)
    assert held, said


def test_a_simulator_that_hangs(home: Path, score) -> None:
    working = in_background(home, LARGE, timeout_s=5)
    assert until(lambda: len(running(workers(home))) == 2), "one for the timed inputs, one for the others"
    with ExitStack() as hanging:
        for victim in running(workers(home)):
            hanging.enter_context(stopped(victim))
        said = working.communicate(timeout=60)[0]
    held = said.startswith("EngineFailure gemsim hung") and not remembered(home) and not running(workers(home))
    score(ROW, held)
    assert held, said


def test_a_simulator_that_is_slow_has_not_hung(home: Path, score) -> None:
    """The counterpart: what computes until its time is over is the kernel's doing."""

    async def main() -> Evaluation:
        return await evaluate(LARGE, ENDLESS, home=Home(home), timeout_s=3.5)

    found = anyio.run(main)
    score(ROW, found.verdict == "timed_out")
    assert found.verdict == "timed_out" and not remembered(home)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_compiler_that_is_killed_or_hangs(
    number: signal.Signals, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score
) -> None:
    """Killed from outside at some moment of its work; where it survives that, nothing was wrong with it."""
    from autocomp_mcp.hardware_adapters.gemmini import toolchain

    monkeypatch.setattr(toolchain, "COMPILE_LIMITS", toolchain.COMPILE_LIMITS._replace(wall_s=4.0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where no other test's compiler works
    adapter = adapter_for(PROBLEM, Home(home))
    source = adapter.baseline(adapter.problem(PROBLEM))
    said: list[str] = []
    hit: list[int] = []

    async def compile_it() -> None:
        try:
            said.append((await evaluate(PROBLEM, source or "", home=Home(home))).verdict)
        except EngineFailure as error:
            said.append(f"EngineFailure {error}")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compile_it)
            while not hit and not said:
                for process in running(lambda found: found.folder.startswith(f"{tmp_path}/autocomp-compile-")):
                    words = process.command  # not the shell that the compiler has not yet taken the place of
                    if "-S" in words and not words[0].endswith("sh") and process.kill(number):
                        hit.append(process.pid)
                await anyio.lowlevel.checkpoint()

    anyio.run(main)
    missed = said == ["passed"]  # it had ended already, and was signalled before it was waited for
    held = missed or (bool(hit) and said[0].startswith("EngineFailure") and not remembered(home))
    score(ROW, held)
    assert held, said


ANSWERS = {
    "garbage": "head -c 3000 /dev/urandom",
    "nothing": "true",
    "half an answer": """printf '{"version": "1", "cases": [{"name": "ra'""",
    "another job's answer": """printf '{"version": "1", "cases": []}'""",
    "success without outputs": """name=$(sed -n 's/^case \\([^ ]*\\).*/\\1/p' $2)
call='{"cycles":9,"instret":9,"commands":9}'
printf '{"version":"1","cases":[{"name":"%s","status":"ok","calls":[%s,%s]}]}' $name $call $call""",
    "a flood": "yes garbage | head -c 20000000",
    "a failure": "echo no memory >&2; exit 1",
    "a crash": "kill -SEGV $$",
}


@pytest.mark.parametrize("how", ANSWERS)
def test_an_engine_that_answers_nonsense(how: str, home: Path, tmp_path: Path, builds: Path, score) -> None:
    real = anyio.run(gemsim.simulator, Home(home))
    mine = tmp_path / "own"
    (mine / "cache").mkdir(parents=True)
    for entry in builds.iterdir():
        if entry.name != real.parent.name:
            (mine / "cache" / entry.name).symlink_to(entry)
    stand_in = mine / "cache" / real.parent.name / real.name
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!/bin/sh\n{ANSWERS[how]}\n")
    stand_in.chmod(0o755)
    said = judged(mine)
    held = said.startswith("EngineFailure") and not remembered(mine)
    score(ROW, held)
    assert held, said


# ---------------------------------------------------------------- the database


def test_a_cache_that_another_process_holds(home: Path, monkeypatch: pytest.MonkeyPatch, score) -> None:
    from autocomp_mcp.hardware_adapters import store

    assert judged(home).startswith("passed")
    monkeypatch.setattr(store, "BUSY_TIMEOUT_S", 0.3)

    async def main() -> Evaluation:
        return await evaluate(PROBLEM, (source or "") + "\n/* another */ int y;\n", home=Home(home))

    adapter = adapter_for(PROBLEM, Home(home))
    source = adapter.baseline(adapter.problem(PROBLEM))
    with Holding(home / "autocomp.db"):
        found = anyio.run(main)
    held = found.passed and len(remembered(home)) >= 1 and intact(home / "autocomp.db")
    score(ROW, held)
    assert held, found.message


@pytest.mark.parametrize("damage", ["torn", "another file", "empty"])
def test_a_database_that_is_damaged_is_no_kernels_fault(damage: str, home: Path, score) -> None:
    assert judged(home).startswith("passed")
    database = home / "autocomp.db"
    for left in home.glob("autocomp.db-*"):
        left.unlink()
    data = database.read_bytes()
    broken = {"torn": data[:100] + b"\xff" * 4000 + data[4100:], "another file": b"no database" * 999, "empty": b""}
    database.write_bytes(broken[damage])
    said = judged(home)
    score(ROW, said.startswith("passed"))
    assert said.startswith("passed"), said
