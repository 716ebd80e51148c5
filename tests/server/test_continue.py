"""continue, and the file that a search leaves behind: what a later search starts from."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings

PROBLEM = "gemmini/gemm-32x32x32"
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("continue") / "home")


@pytest.fixture(scope="module")
def cli(home: Path) -> Cli:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autocomp_mcp", *args]
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=home,
            env=clean | {"AUTOCOMP_HOME": str(home), "COLUMNS": "120"},
        )  # fmt: skip

    return call


@pytest.fixture(scope="module")
def earlier(cli: Cli) -> dict[str, Any]:
    result = cli("optimize", PROBLEM, "--model", "offline", "--max-evaluations", "5", "--seed", "3", "--json")
    assert result.returncode == 0, result.stderr
    final = json.loads(result.stdout)
    assert final["speedup"] > 1
    return final


def test_a_run_continues_from_anothers_best_kernel(cli: Cli, home: Path, earlier: dict[str, Any]) -> None:
    result = cli("continue", earlier["run_id"], "--plans", "2", "--max-evaluations", "4", "--json")
    assert result.returncode == 0, result.stderr
    final = json.loads(result.stdout)
    assert final["run_id"] != earlier["run_id"] and final["continues"] == earlier["run_id"]
    assert (final["problem"], final["model"]) == (PROBLEM, "offline")
    assert final["baseline"]["latency"] == earlier["best"]["latency"] >= final["best"]["latency"]
    journal = Journal(home / "autocomp.db")
    before, after = journal.first_row(earlier["run_id"]), journal.first_row(final["run_id"])
    assert after.source == journal.source(earlier["run_id"], earlier["best"]["candidate"])
    assert after.settings == before.settings | {"plans": 2, "max_evaluations": 4, "reuse": "none"}
    assert f"continues run {earlier['run_id']}" in cli("show", final["run_id"]).stdout
    assert "continues" not in cli("show", earlier["run_id"]).stdout
    resumed = json.loads(cli("resume", final["run_id"], "--max-evaluations", "6", "--json").stdout)
    assert resumed["continues"] == earlier["run_id"] and resumed["evaluations"] == 6


@pytest.mark.slow
def test_what_cannot_be_continued(cli: Cli, home: Path, earlier: dict[str, Any]) -> None:
    journal = Journal(home / "autocomp.db")
    settings = SearchSettings.for_model("offline").model_dump(mode="json")
    for name in ("barren", "stillborn"):
        lease = journal.create(name, PROBLEM, "offline", settings, "void solution(void) {}")
        if name == "barren":
            journal.append(lease, "session", {})
        journal.release(lease)
    for arguments, message in (
        (["barren"], "nothing to continue from"),
        (["never"], "no run 'never'"),
        (["stillborn"], "run 'stillborn' never began"),
        ([earlier["run_id"], "--problem", PROBLEM], "--problem"),
        ([earlier["run_id"], "--engine", "fpga"], "fpga"),
        ([earlier["run_id"], "--model", "nosuch:model"], "nosuch"),
    ):
        result = cli("continue", *arguments)
        assert result.returncode == 2 and message in result.stderr, (arguments, result.stderr)
        assert "Traceback" not in result.stderr
    assert [status.continues for status in journal.statuses() if status.run_id == "barren"] == [None]


def header(text: str) -> dict[str, str]:
    blocks = re.findall(r"^/\* problem: .*?\*/$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, text
    lines = blocks[0].removeprefix("/*").removesuffix("*/").strip().splitlines()
    return {name: value.strip() for name, _, value in (line.strip(" *").partition(":") for line in lines)}


def test_the_header_of_the_best_kernel_is_complete_and_survives(cli: Cli, home: Path, earlier: dict[str, Any]) -> None:
    path, best = Path(earlier["best"]["source_path"]), earlier["best"]
    found = header(path.read_text())
    evaluation = json.loads(cli("evaluate", PROBLEM, str(path), "--seed", "3", "--json").stdout)
    assert evaluation["verdict"] == "passed" and evaluation["latency"]["value"] == best["latency"]
    assert list(found) == ["problem", "latency", "engine", "speed-up", "run"]
    assert found["problem"] == PROBLEM
    assert found["latency"].startswith(f"{best['latency']:.0f} cycles (estimated; ")
    assert found["latency"].endswith(f", {best['utilisation']:.1%} of the bound")
    assert found["engine"] == f"gemsim {evaluation['engine_version']}"
    assert found["speed-up"] == f"{earlier['speedup']:.2f}x over the first kernel"
    assert found["run"] == f"{earlier['run_id']}, candidate {best['candidate']}"
    # It is a comment: the kernel below is the one that was judged, under the same name.
    source = Journal(home / "autocomp.db").source(earlier["run_id"], best["candidate"])
    assert source and source.splitlines()[-1] == path.read_text().splitlines()[-1]
    assert evaluation["cached"], "the file is the same kernel as the candidate"


def test_a_search_from_that_file_replaces_the_header(cli: Cli, earlier: dict[str, Any]) -> None:
    result = cli(
        "optimize", PROBLEM, "--model", "offline", "--max-evaluations", "1",
        "--source", earlier["best"]["source_path"], "--json",
    )  # fmt: skip
    final = json.loads(result.stdout)
    text = Path(final["best"]["source_path"]).read_text()
    assert header(text)["run"] == f"{final['run_id']}, candidate 0"
    assert text.startswith("// schedule:"), "rewrites still find it"
    again = json.loads(cli("evaluate", PROBLEM, final["best"]["source_path"], "--json").stdout)
    assert again["latency"]["value"] == earlier["best"]["latency"]
