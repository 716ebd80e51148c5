"""--require-sandbox: goes on where every layer is there, refuses where one is not; doctor and the journal tell them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.hardware_adapters.sandbox import sandbox
from server_process import clean_environment

PROBLEM = "gemmini/gemm-16x16x16"
SEARCH = ("optimize", PROBLEM, "--model", "offline", "--reuse", "none", "--max-evaluations", "1")
LAYERS = {"files", "processes", "network", "system calls", "privileges", "limits", "environment"}
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def cli(home: Path) -> Cli:
    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *words], env=clean_environment(home, **env), capture_output=True,
            text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture
def kernel(cli: Cli, tmp_path: Path) -> str:
    path = tmp_path / "kernel.c"
    path.write_text(cli("problems", "--baseline", PROBLEM).stdout)
    return str(path)


@pytest.fixture
def complete() -> None:
    found = anyio.run(sandbox)
    if found.missing:
        why = f"this machine lacks layers of the sandbox: {found.missing}; that it goes on with all was NOT tested"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)


def refused(result: subprocess.CompletedProcess[str]) -> bool:
    said = result.stderr
    assert result.returncode == 3 and "Traceback" not in said, said
    assert "the sandbox is required" in said and "switched off by AUTOCOMP_SANDBOX=limits" in said, said
    return "network (" in said and "doctor" in said


def test_it_refuses_where_layers_are_missing(cli: Cli, kernel: str, home: Path) -> None:
    for words in (("evaluate", PROBLEM, kernel), SEARCH, ("serve",)):
        assert refused(cli(*words, "--require-sandbox", AUTOCOMP_SANDBOX="limits"))
        assert refused(cli(*words, AUTOCOMP_REQUIRE_SANDBOX="1", AUTOCOMP_SANDBOX="limits"))
    journal = Journal(home / "autocomp.db")
    assert journal.run_ids() == []
    assert cli("evaluate", PROBLEM, kernel, AUTOCOMP_SANDBOX="limits").returncode == 0, "not required, not missed"


def test_it_refuses_to_resume(cli: Cli, home: Path) -> None:
    assert cli(*SEARCH, AUTOCOMP_SANDBOX="limits").returncode == 0
    more = ("resume", "last", "--max-evaluations", "2", "--require-sandbox")
    assert refused(cli(*more, AUTOCOMP_SANDBOX="limits"))
    (run,) = Journal(home / "autocomp.db").statuses()
    assert run.evaluations == 1


def test_it_goes_on_where_all_are_there(cli: Cli, kernel: str, complete: None) -> None:
    done = cli("evaluate", PROBLEM, kernel, "--require-sandbox", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "passed"


def test_a_wrong_word_is_refused(cli: Cli, kernel: str) -> None:
    done = cli("evaluate", PROBLEM, kernel, AUTOCOMP_SANDBOX="most")
    assert done.returncode == 3 and "AUTOCOMP_SANDBOX='most' is none of auto, own, bubblewrap, limits" in done.stderr


def test_doctor_tells_each_layer(cli: Cli) -> None:
    for more, required in (({}, False), ({"AUTOCOMP_REQUIRE_SANDBOX": "1"}, True)):
        done = cli("doctor", "--json", AUTOCOMP_SANDBOX="limits", **more)
        said = json.loads(done.stdout)
        lines = {c["name"].removeprefix("sandbox "): c for c in said["checks"] if c["name"].startswith("sandbox ")}
        assert set(lines) == LAYERS
        off = {name for name, line in lines.items() if not line["ok"]}
        assert off == LAYERS - {"limits", "environment"}
        assert all(lines[name]["mend"] == "unset AUTOCOMP_SANDBOX" for name in off)
        assert all("switched off by AUTOCOMP_SANDBOX=limits" in lines[name]["found"] for name in off)
        assert {line["required"] for line in lines.values()} == {required}
        if required:
            assert done.returncode == 3 and not said["ok"]
    text = cli("doctor", AUTOCOMP_SANDBOX="limits").stdout
    assert "-    sandbox network" in text and "ok   sandbox limits" in text
    assert "MISS sandbox network" in cli("doctor", AUTOCOMP_SANDBOX="limits", AUTOCOMP_REQUIRE_SANDBOX="1").stdout


@pytest.mark.parametrize("way", ["limits", pytest.param("auto", marks=pytest.mark.slow)])
def test_a_run_records_the_layers_of_each_session(
    way: str, cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*SEARCH, AUTOCOMP_SANDBOX=way).returncode == 0
    assert cli("resume", "last", "--max-evaluations", "2", AUTOCOMP_SANDBOX="limits").returncode == 0
    journal = Journal(home / "autocomp.db")
    (run,) = journal.run_ids()
    sessions = [event["data"]["sandbox"] for event in journal.events(run) if event["kind"] == "session"]
    assert len(sessions) == 2
    monkeypatch.setenv("AUTOCOMP_SANDBOX", way)
    here = anyio.run(sandbox)
    assert (set(sessions[0]["active"]), set(sessions[0]["missing"])) == (set(here.active), set(here.missing))
    assert set(sessions[1]["active"]) == {"limits", "environment"}
    assert set(sessions[1]["active"]) | set(sessions[1]["missing"]) == LAYERS
