"""The table of the searches that servers drive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from autocomp_mcp.tools.job_table import BEGINS_WITHIN_S, JobTable


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "autocomp.db"


def test_a_caller_has_so_many_and_no_more(database: Path) -> None:
    table = JobTable(database)
    assert table.enter("a", "ann", 2, lambda run: True)
    assert table.enter("b", "ann", 2, lambda run: True)
    assert not table.enter("c", "ann", 2, lambda run: True)
    assert table.enter("c", "bob", 2, lambda run: True)
    assert table.enter("d", None, 2, lambda run: True), "whoever is at the machine has no limit"
    table.leave("a")
    assert table.enter("e", "ann", 2, lambda run: True)


def test_dead_runs_do_not_count_nor_those_that_never_began(database: Path) -> None:
    now = 0.0
    table = JobTable(database, clock=lambda: now)
    for run in ("dead", "never"):
        assert table.enter(run, "ann", 2, lambda run: True)
    assert not table.enter("new", "ann", 2, {"dead": True}.get), "it may begin yet"
    now = BEGINS_WITHIN_S + 1
    assert table.enter("new", "ann", 1, {"dead": False}.get)
    assert not table.ask_to_stop("dead") and table.ask_to_stop("new")
    assert table.to_stop() == ["new"]


def test_whether_a_run_is_driven_is_asked_without_the_write_lock(database: Path) -> None:
    """The journal answers that question, and may be waiting for the write lock in the server's event loop."""
    table = JobTable(database)
    table.enter("a", "ann", 2, lambda run: True)

    def driven(run: str) -> bool:
        with closing(sqlite3.connect(database, timeout=0)) as journal, journal:
            journal.execute("CREATE TABLE IF NOT EXISTS written (run TEXT)")
            journal.execute("INSERT INTO written VALUES (?)", (run,))
        return True

    assert table.enter("b", "ann", 2, driven)
