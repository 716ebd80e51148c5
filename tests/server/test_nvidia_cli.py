"""The target nvidia from the command line: evaluate, profile, compile, and searches without a language model."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROBLEM = "nvidia/transpose-256x320"
UNTUNED = "nvidia/colsum-256x320"


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
    listed = json.loads(command("problems", "--target", "nvidia", "--json").stdout)
    assert {problem["target"] for problem in listed["problems"]} == {"nvidia"}
    (tmp_path / "kernel.cu").write_text(command("problems", "--baseline", PROBLEM).stdout)
    evaluated = json.loads(command("evaluate", PROBLEM, "kernel.cu", "--json").stdout)
    assert evaluated["verdict"] == "passed" and evaluated["latency"]["unit"] == "ns"
    assert evaluated["source"] == "estimated"
    assert command("evaluate", PROBLEM, "kernel.cu", "--engine", "nosuch").returncode == 2
    profiled = command("profile", PROBLEM, "kernel.cu")
    assert profiled.returncode == 0 and "uncoalesced" in profiled.stdout and "options: " in profiled.stdout
    (tmp_path / "wrong.cu").write_text((tmp_path / "kernel.cu").read_text().replace("<stdint.h>", "<cublas_v2.h>"))
    refused = command("compile", PROBLEM, "wrong.cu")
    assert refused.returncode == 1 and "cublas_v2.h" in refused.stdout


@pytest.mark.slow
def test_a_search_without_a_language_model_says_what_it_cannot_do(command, tmp_path: Path) -> None:
    searched = command("optimize", UNTUNED, "--model", "offline")
    assert searched.returncode == 0, searched.stderr
    told = " ".join((searched.stdout + searched.stderr).split())
    assert "a language model can change any kernel" in told
    (best,) = (tmp_path / "home" / "runs").glob("*/best.cu")
    assert command("evaluate", UNTUNED, str(best)).returncode == 0


# At the shape and with the number of evaluations at which a first step that pays is among those tried.
SEARCHED = {
    "sgemm": ("nvidia/sgemm-512x512x512", 8),
    "softmax": ("nvidia/softmax-512x1024", 6),
    "transpose": ("nvidia/transpose-1024x1024", 8),
}


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.slow) for name in ("softmax", "sgemm", "transpose")]
)
def test_the_offline_tuner_makes_a_kernel_faster(command, tmp_path: Path, family: str) -> None:
    problem, evaluations = SEARCHED[family]
    searched = command("optimize", problem, "--model", "offline", "--max-evaluations", str(evaluations), "--json")
    found = json.loads(searched.stdout)
    assert found["best"]["latency"] < found["baseline"]["latency"], found
    (best,) = (tmp_path / "home" / "runs").glob("*/best.cu")
    assert best.read_text().startswith(f"// {family} schedule: {{"), "so that a search can go on from it"


def test_doctor_names_the_engine(command) -> None:
    checks = {check["name"]: check for check in json.loads(command("doctor", "--json").stdout)["checks"]}
    assert checks["engine nvidia/cpu"]["ok"] and checks["engine nvidia/cpu"]["required"]
    assert "never compared with a GPU" in checks["engine nvidia/cpu"]["found"]
