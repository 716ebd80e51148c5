"""campaign: several searches from a file, their budget, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.campaign import Campaign
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.server.commands import campaigning
from autocomp_mcp.server.commands.campaign_file import CampaignFileError, read_campaign
from postgres_server import PostgresServer

FILE = """\
name: small
model: offline
settings: {{iterations: 2, plans: 3, timeout_s: 600, stop_utilisation: 1.0}}
budget: {{evaluations: {evaluations}}}
problems:
  - gemmini/gemm-32x32x32
  - problem: gemmini/gemm-32x64x32
    settings: {{beam: 2, max_evaluations: 3}}
"""
MakeHome = Callable[[Path], Path]


def environment(home: Path, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return clean | {"AUTOCOMP_HOME": str(home)} | more


def command(file: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "autocomp_mcp", "campaign", str(file), "--json", *more]


def campaign(home: Path, file: Path, *more: str, **variables: str) -> dict[str, Any]:
    ran = subprocess.run(
        command(file, *more), env=environment(home, **variables), capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
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
    journal = Journal(home / "autocomp.db")
    journal.set_state(lease := journal.acquire(runs[1]), "failed", "the confirming engine was away")
    journal.release(lease)
    larger = campaign(home, file, "--report", str(tmp_path / "report"))
    assert [e["run"]["run_id"] for e in larger["entries"]] == runs, "the same searches went on"
    assert larger["report"] == str(tmp_path / "report" / "index.html")
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"index.html", *(f"{run}.html" for run in runs)}
    second = larger["entries"][1]["run"]
    assert (second["state"], second["evaluations"]) == ("finished", 3), "it went on, though at a limit of its own"
    assert 8 < larger["spent"]["evaluations"] <= 16
    assert campaign(home, file, "--new")["entries"][0]["run"]["run_id"] != runs[0]


def test_the_plan_of_a_campaign_that_begins_anew(tmp_path: Path, file: Path) -> None:
    read = read_campaign(file)
    home = tmp_path / "home"
    home.mkdir()
    with closing(Journal(home / "autocomp.db")) as journal:
        begun = Campaign(read.name, read.entries, read.budget, journal, home / "autocomp.db")
        settings = SearchSettings.for_model("offline").model_dump(mode="json")
        lease = journal.create("early", read.entries[0].problem, "offline", settings, "")
        journal.set_state(lease, "finished", "made up")
        begun.begin(0, "early")
    plan, anew = (campaign(home, file, "--dry-run", *more)["entries"] for more in ((), ("--new",)))
    assert (plan[0]["would"], plan[0]["run_id"]) != (anew[0]["would"], anew[0]["run_id"]) == ("begin", None)
    assert campaign(home, file, "--dry-run")["entries"] == plan, "nothing was forgotten"


def test_what_the_file_says_steers_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOCOMP_HOME", str(tmp_path / "home"))
    file = tmp_path / "odd.yaml"
    file.write_text('model: offline\nsettings: {base_url: "http://\\e[31mhost"}\nproblems: [gemmini/gemm-16x16x16]\n')
    assert campaigning.campaign(file, dry_run=True, anew=False, servers=[], pages=None, as_json=False) == 0
    said = capsys.readouterr().out
    assert "base_url=http://␛[31mhost" in said and "\x1b" not in said


def evaluated_in(home: Path) -> int:
    """How many kernels were judged with this home."""
    with closing(sqlite3.connect(home / "autocomp.db")) as database:
        known = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'evaluations'").fetchone()[0]
        return database.execute("SELECT count(*) FROM evaluations").fetchone()[0] if known else 0


@pytest.mark.slow
def test_two_machines_that_share_a_database_share_a_campaign(
    tmp_path: Path, make_home: MakeHome, file: Path, postgresql: PostgresServer
) -> None:
    here, there = make_home(tmp_path / "here"), make_home(tmp_path / "there")
    database = {"AUTOCOMP_DB": postgresql.new_database()}
    first = campaign(here, file, **database)
    runs = [e["run"]["run_id"] for e in first["entries"]]
    plan = campaign(there, file, "--dry-run", **database)
    assert [entry["run_id"] for entry in plan["entries"]] == runs
    assert "begin" not in [entry["would"] for entry in plan["entries"]]
    assert campaign(there, file, **database)["entries"] == first["entries"] and evaluated_in(there) == 0

    file.write_text(FILE.format(evaluations=14))
    larger = campaign(there, file, **database)
    assert [e["run"]["run_id"] for e in larger["entries"]] == runs, "the same searches went on elsewhere"
    assert 8 < larger["spent"]["evaluations"] <= 14 and evaluated_in(there) > 0
    assert campaign(here, file, "--dry-run", **database)["campaign"] == larger["campaign"]
    assert campaign(here, file, **database)["entries"] == larger["entries"]


@pytest.mark.slow
def test_a_machine_goes_on_with_the_campaign_of_one_that_was_killed(
    tmp_path: Path, make_home: MakeHome, file: Path, postgresql: PostgresServer
) -> None:
    file.write_text(FILE.format(evaluations=40))
    whole = campaign(make_home(tmp_path / "whole"), file)
    here, there = make_home(tmp_path / "here"), make_home(tmp_path / "there")
    address = postgresql.new_database()
    process = subprocess.Popen(
        command(file), env=environment(here, AUTOCOMP_DB=address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    journal, deadline = Journal(address), time.monotonic() + 120
    while (before := sum(status.evaluations for status in journal.statuses())) < 5 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    busy = subprocess.run(
        command(file), env=environment(there, AUTOCOMP_DB=address), capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    process.kill()
    process.wait()
    assert busy.returncode == 2 and "is being driven by process" in busy.stderr, "one machine drives it at a time"
    while journal.driven(journal.run_ids()[-1]):  # until its heartbeat is a minute old
        time.sleep(1)
    assert before >= 5
    assert found(campaign(there, file, AUTOCOMP_DB=address)) == found(whole)


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
            count = sum(status.evaluations for status in journal.statuses())
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
