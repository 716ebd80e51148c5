"""kill -9 at some moment, then resume: the answer of an undisturbed run, and nothing finished done again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal

SCRIPT = Path(__file__).parents[1] / "fakes" / "search_process.py"


def start(home: Path, log: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(home), "r", str(log), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("undisturbed")
    return finish(start(home, home / "log"))


@pytest.mark.parametrize(
    "kills", [pytest.param((1,), marks=pytest.mark.slow), (6, 14), pytest.param((20,), marks=pytest.mark.slow)], ids=str
)
def test_killed_and_resumed(tmp_path: Path, undisturbed: dict[str, Any], kills: tuple[int, ...]) -> None:
    log = tmp_path / "log"
    for turn, wanted in enumerate(kills):
        process = start(tmp_path, log, *(["resume"] if turn else []))
        deadline = time.monotonic() + 60
        while len(lines(log)) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert len(lines(log)) >= wanted
        assert Journal(tmp_path / "autocomp.db").status("r").state == "interrupted", "the dead do not drive"
    status = finish(start(tmp_path, log, "resume"))
    assert status["state"] == "finished"
    for field in (
        "best",
        "best_source",
        "lineage",
        "speedup",
        "evaluations",
        "duplicates",
        "model_calls",
        "stop_reason",
    ):
        assert status[field] == undisturbed[field], field
    # Lost at each kill is at most what was in flight: two evaluations at a time (the settings' default).
    assert len(lines(log)) <= undisturbed["evaluations"] + 2 * len(kills)
    header = (tmp_path / "runs" / "r" / "best.c").read_text()
    assert status["best_source"] in header
