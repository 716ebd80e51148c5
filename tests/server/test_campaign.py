"""campaign: several searches from a file, their budget, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.journal import Journal
from autocomp_mcp.server.campaign_file import CampaignFileError, read_campaign

FILE = """\
name: small
model: offline
settings: {{iterations: 2, plans: 3, timeout_s: 600, stop_utilisation: 1.0}}
budget: {{evaluations: {evaluations}}}
problems:
  - gemmini/gemm-32x32x32
  - problem: gemmini/gemm-32x64x32
    settings: {{beam: 2}}
"""
MakeHome = Callable[[Path], Path]


def environment(home: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return clean | {"AUTOCOMP_HOME": str(home)}


def command(file: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "autocomp_mcp", "campaign", str(file), "--json", *more]


def campaign(home: Path, file: Path, *more: str) -> dict[str, Any]:
    ran = subprocess.run(
        command(file, *more), env=environment(home), capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def found(result: dict[str, Any]) -> list[Any]:
    return [(e["problem"], e["run"]["best"]["latency"], e["run"]["evaluations"]) for e in result["entries"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(FILE.format(evaluations=8))
    return path


def test_a_campaign_from_its_plan_to_a_larger_budget(tmp_path: Path, make_home: MakeHome, file: Path) -> None:
    home = make_home(tmp_path / "home")
    plan = campaign(home, file, "--dry-run")
    assert [entry["would"] for entry in plan["entries"]] == ["begin", "begin"]
    assert plan["entries"][0]["limits"] == {"max_evaluations": 4} and not Journal(home / "autocomp.db").run_ids()

    first = campaign(home, file)
    assert first["spent"]["evaluations"] == sum(e["run"]["evaluations"] for e in first["entries"]) <= 8
    assert all(e["run"]["speedup"] > 1 for e in first["entries"]) and first["geometric_mean_speedup"] > 1
    runs = [e["run"]["run_id"] for e in first["entries"]]
    second = Journal(home / "autocomp.db").status(runs[1])
    assert second.reused == runs[0], "the second problem replays the schedule of the first"
    assert campaign(home, file)["entries"] == first["entries"], "nothing is done again"

    file.write_text(FILE.format(evaluations=16))
    plan = campaign(home, file, "--dry-run")
    assert "go on" in [entry["would"] for entry in plan["entries"]]
    larger = campaign(home, file)
    assert [e["run"]["run_id"] for e in larger["entries"]] == runs, "the same searches went on"
    assert 8 < larger["spent"]["evaluations"] <= 16
    assert campaign(home, file, "--new")["entries"][0]["run"]["run_id"] != runs[0]


@pytest.mark.slow
def test_a_killed_campaign_goes_on_and_finds_the_same(tmp_path: Path, make_home: MakeHome, file: Path) -> None:
    file.write_text(FILE.format(evaluations=40))
    whole = campaign(make_home(tmp_path / "whole"), file)
    home = make_home(tmp_path / "killed")
    kills, seen = 0, -1
    for _ in range(3):
        process = subprocess.Popen(
            command(file), env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            journal = Journal(home / "autocomp.db")
            count = sum(status.evaluations for status in journal.runs())
            journal.close()
            if count > seen + 3:
                seen = count
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.02)
        process.wait()
    assert kills >= 2
    assert found(campaign(home, file)) == found(whole), "what was evaluated before a kill is not evaluated again"


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("a.yaml", "problems: []\n", 1, "problems: "),
        ("a.yaml", "budget: {evaluations: 0}\nproblems: [gemmini/gemm-16x16x16]\n", 1, "budget.evaluations: "),
        ("a.yaml", "problems:\n  - gemmini/gemm-16x16x16\n  - problm: x\n", 3, "problems.1.problm: "),
        ("a.yaml", "problems:\n  - gemmini/gemm-16x16x16\n  - gemmini/gem-16x16x16\n", 3, "problems.1.problem: "),
        (
            "a.yaml",
            "problems:\n  - problem: gemmini/gemm-16x16x16\n    settings:\n      plans: 0\n",
            4,
            "settings.plans: ",
        ),
        ("a.yaml", "settings:\n  beem: 3\nproblems: [gemmini/gemm-16x16x16]\n", 2, "settings.beem: no such setting"),
        ("a.yaml", "problems:\n  - problem: gemmini/gemm-16x16x16\n    engine: gem\n", 2, "unknown engine"),
        ("a.yaml", "problems:\n  - suite: gemmini/none\n", 2, "problems.0.suite: "),
        ("a.yaml", "problems: [\n", 2, "is no YAML"),
        ("a.toml", "problems = ['gemmini/gemm-16x16x16']\n[budget]\nevaluation = 3\n", 3, "budget.evaluation: "),
        ("a.toml", "[[problems]]\nproblem = 'gemmini/gemm-16x16x16'\nsource = 'none.c'\n", 3, "source: "),
        ("a.toml", "problems = \n", 1, "is no TOML"),
        ("none.yaml", None, None, "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(
    tmp_path: Path, name: str, text: str | None, line: int | None, said: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(CampaignFileError) as refused:
        read_campaign(file)
    message = str(refused.value)
    assert message.startswith(f"{file}:{line}: " if line is not None else f"{file}: ") and said in message, message


def test_a_suite_is_its_problems_and_toml_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("model: offline\nproblems:\n  - suite: gemmini/autocomp-gemm\n")
    (tmp_path / "a.toml").write_text("model = 'offline'\n[[problems]]\nsuite = 'gemmini/autocomp-gemm'\n")
    yaml, toml = (read_campaign(tmp_path / name) for name in ("a.yaml", "a.toml"))
    assert yaml == toml and len(yaml.entries) > 1 and yaml.name == "a"
