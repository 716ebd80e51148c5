"""The target trainium from the command line: evaluate, profile, compile, and searches with and without rewrites."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROBLEM = "trainium/rmsnorm-130x64"


@pytest.fixture
def command(tmp_path: Path, make_home: Callable[[Path], Path]):
    home = {"HOME": str(tmp_path), "AUTOCOMP_HOME": str(make_home(tmp_path / "home"))}
    environment = {"PATH": os.environ["PATH"], "NO_COLOR": "1", **home}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


def test_a_kernel_is_judged_and_profiled(command, tmp_path: Path) -> None:
    listed = json.loads(command("problems", "--target", "trainium", "--json").stdout)
    assert {problem["target"] for problem in listed["problems"]} == {"trainium"}
    assert "\n  trainium-published  " in command("problems", "--target", "trainium").stdout
    (tmp_path / "kernel.py").write_text(command("problems", "--baseline", PROBLEM).stdout)
    evaluated = json.loads(command("evaluate", PROBLEM, "kernel.py", "--json").stdout)
    assert evaluated["verdict"] == "passed" and evaluated["latency"]["unit"] == "ns"
    assert command("evaluate", PROBLEM, "kernel.py", "--engine", "nosuch").returncode == 2
    profiled = command("profile", PROBLEM, "kernel.py", "--timeline", "timeline.json")
    assert profiled.returncode == 0 and "options: " in profiled.stdout and " ns\n" in profiled.stdout, profiled.stderr
    events = json.loads((tmp_path / "timeline.json").read_text())
    assert {event["name"] for event in events if event["ph"] == "X"} >= {"dma_copy", "tensor_tensor", "activation"}
    (tmp_path / "wrong.py").write_text((tmp_path / "kernel.py").read_text().replace("import nki\n", "import os\n", 1))
    refused = command("compile", PROBLEM, "wrong.py")
    assert refused.returncode == 1 and "line 2: import of 'os'" in refused.stdout


@pytest.mark.slow
def test_the_offline_tuner_makes_a_kernel_faster_and_reuses_its_schedule(command, tmp_path: Path) -> None:
    limits = ("--model", "offline", "--max-evaluations", "8", "--json")
    found = json.loads(command("optimize", PROBLEM, *limits).stdout)
    assert found["best"]["latency"] < found["baseline"]["latency"], found
    (best,) = (tmp_path / "home" / "runs").glob("*/best.py")
    assert best.read_text().startswith("# rmsnorm schedule: {"), "so that a search can go on from it"
    assert command("evaluate", PROBLEM, str(best)).returncode == 0
    again = json.loads(command("optimize", "trainium/rmsnorm-260x64", *limits).stdout)
    first, second = (json.loads(command("show", run["run_id"], "--json").stdout) for run in (found, again))
    steps = [step["option"] for step in first["lineage"][1:]]
    assert steps and [step["option"] for step in second["lineage"][1:]][: len(steps)] == steps
    went_on = command("optimize", PROBLEM, "--source", str(best), "--model", "offline", "--max-evaluations", "2")
    assert "changes only kernels that carry a schedule" not in " ".join((went_on.stdout + went_on.stderr).split())


def test_a_search_without_a_language_model_says_what_it_cannot_do(command, tmp_path: Path) -> None:
    problem = "trainium/layernorm-130x64"
    searched = command("optimize", problem, "--model", "offline")
    assert searched.returncode == 0, searched.stderr
    told = " ".join((searched.stdout + searched.stderr).split())
    assert "a language model can change any kernel" in told
    (best,) = (tmp_path / "home" / "runs").glob("*/best.py")
    assert command("evaluate", problem, str(best)).returncode == 0
