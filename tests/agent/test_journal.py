from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from autocomp_mcp.agent.errors import AgentError, LeaseLostError, NeverBegunError, RunBusyError, UnknownRunError
from autocomp_mcp.agent.journal import STALE_S, Journal
from autocomp_mcp.agent.settings import SearchSettings


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def journal_with_run(path: Path, clock: Clock) -> Journal:
    journal = Journal(path, clock, beats=clock)
    lease = journal.create("r", "toy/sum-64", "offline", SearchSettings().model_dump(mode="json"), "int x;")
    assert journal.driven("r"), "no moment in which a new run looks interrupted"
    journal.append(lease, "session", {})
    journal.release(lease)
    return journal


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    journal = journal_with_run(tmp_path / "db", clock)
    lease = journal.acquire("r")
    with pytest.raises(RunBusyError, match=str(os.getpid())):
        journal.acquire("r")
    journal.release(lease)
    journal.release(journal.acquire("r"))


def test_a_hanging_owner_loses_its_run_and_can_write_nothing_more(tmp_path: Path) -> None:
    clock = Clock()
    journal = journal_with_run(tmp_path / "db", clock)
    old = journal.acquire("r")
    clock.now += STALE_S - 1
    journal.beat(old)
    clock.now += STALE_S - 1
    with pytest.raises(RunBusyError):
        journal.acquire("r")
    clock.now += 2
    new = journal.acquire("r")
    with pytest.raises(LeaseLostError):
        journal.append(old, "phase", {"iteration": 1}, key="phase/1")
    with pytest.raises(LeaseLostError):
        journal.beat(old)
    journal.release(old)
    assert journal.driven("r"), "releasing a lost lease leaves the new owner's alone"
    journal.append(new, "phase", {"iteration": 2}, key="phase/2")
    assert [event["key"] for event in journal.events("r")] == [None, "phase/2"]


def test_a_dead_process_with_our_own_pid_is_dead(tmp_path: Path) -> None:
    """In a container every server is process 1, also the one that was killed a second ago."""
    clock = Clock()
    journal = journal_with_run(tmp_path / "db", clock)
    journal.acquire("r")
    other = sqlite3.connect(tmp_path / "db")
    other.execute("UPDATE leases SET token = 'of the one before'")
    other.commit()
    assert not journal.driven("r")
    journal.acquire("r")


def test_a_run_whose_process_died_before_its_first_event_is_not_there(tmp_path: Path) -> None:
    clock = Clock()
    journal = journal_with_run(tmp_path / "db", clock)
    settings = SearchSettings().model_dump(mode="json")
    for name, continues in (("empty", None), ("empty2", "r")):
        journal.create(name, "toy/sum-64", "offline", settings, "int x;", continues=continues)
    assert set(journal.run_ids()) == {"r", "empty", "empty2"}, "while it begins it is there"
    clock.now += STALE_S + 1
    assert journal.run_ids() == ["r"] and [status.run_id for status in journal.runs()] == ["r"]
    for ask in (journal.begun, journal.run, journal.status, journal.acquire):
        with pytest.raises(NeverBegunError, match=r"'empty' never began.*start the search again"):
            ask("empty")
    lease = journal.create("empty2", "toy/sum-64", "offline", settings, "int y;")
    journal.append(lease, "session", {})
    journal.release(lease)
    assert journal.status("empty2").continues is None and journal.run("empty2").source == "int y;"
    with pytest.raises(UnknownRunError, match="no run"):
        journal.begun("\udc80")


def test_a_result_is_journalled_once(tmp_path: Path) -> None:
    journal = journal_with_run(tmp_path / "db", Clock())
    lease = journal.acquire("r")
    journal.append(lease, "phase", {"iteration": 1}, key="phase/1")
    with pytest.raises(sqlite3.IntegrityError):
        journal.append(lease, "phase", {"iteration": 9}, key="phase/1")
    assert len(journal.events("r")) == 2
    with pytest.raises(AgentError, match="exists already"):
        journal.create("r", "toy/sum-64", "offline", {}, "int x;")


def test_wall_clock_adds_up_sessions_without_the_time_between(tmp_path: Path) -> None:
    clock = Clock()
    journal = journal_with_run(tmp_path / "db", clock)
    lease = journal.acquire("r")
    journal.append(lease, "session", {})
    clock.now += 10
    journal.append(lease, "phase", {"iteration": 1}, key="phase/1")
    journal.release(lease)
    assert journal.status("r").state == "interrupted"
    clock.now += 5000
    lease = journal.acquire("r")
    journal.append(lease, "session", {})
    clock.now += 7
    assert journal.status("r").wall_s == 17
    assert journal.status("r").state == "running"


def test_other_tables_in_the_file_and_other_versions(tmp_path: Path) -> None:
    path = tmp_path / "db"
    other = sqlite3.connect(path)
    other.executescript("CREATE TABLE evaluations (x); INSERT INTO evaluations VALUES (1);")
    Journal(path).close()
    assert other.execute("SELECT x FROM evaluations").fetchall() == [(1,)]
    other.execute("UPDATE agent_schema SET version = 99")
    other.commit()
    with pytest.raises(AgentError, match="schema 99"):
        Journal(path)


def test_many_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    code = f"from autocomp_mcp.agent.journal import Journal; Journal({str(tmp_path / 'db')!r}).runs()"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
