"""The journal, in SQLite and in PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from autocomp_mcp.agent.errors import (
    AgentError,
    AgentUsageError,
    JournalError,
    KnownAlreadyError,
    LeaseLostError,
    NeverBegunError,
    RunBusyError,
    UnknownRunError,
)
from autocomp_mcp.agent.runs.database import opened, place_of
from autocomp_mcp.agent.runs.journal import STALE_S, Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.tools.job_table import JobTable
from postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "sqlite":
        return tmp_path / "db"
    return request.getfixturevalue("postgresql").new_database()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def journal_with_run(place: str | Path, clock: Clock) -> Journal:
    journal = Journal(place, clock, beats=clock)
    lease = journal.create("r", "toy/sum-64", "offline", SearchSettings().model_dump(mode="json"), "int x;")
    assert journal.driven("r"), "no moment in which a new run looks interrupted"
    journal.append(lease, "session", {})
    journal.release(lease)
    return journal


def test_one_owner_at_a_time(place: str | Path) -> None:
    clock = Clock()
    journal = journal_with_run(place, clock)
    lease = journal.acquire("r")
    with pytest.raises(RunBusyError, match=str(os.getpid())):
        journal.acquire("r")
    journal.release(lease)
    journal.release(journal.acquire("r"))


def test_a_hanging_owner_loses_its_run_and_can_write_nothing_more(place: str | Path) -> None:
    clock = Clock()
    journal = journal_with_run(place, clock)
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


def test_a_dead_process_with_our_own_pid_is_dead(place: str | Path) -> None:
    """In a container every server is process 1, also the one that was killed a second ago."""
    clock = Clock()
    journal = journal_with_run(place, clock)
    journal.acquire("r")
    other = opened(place)
    with other.writing():
        other.execute("UPDATE leases SET token = 'of the one before'")
    other.close()
    assert not journal.driven("r")
    journal.acquire("r")


def test_a_run_whose_process_died_before_its_first_event_is_not_there(place: str | Path) -> None:
    clock = Clock()
    journal = journal_with_run(place, clock)
    settings = SearchSettings().model_dump(mode="json")
    for name, continues in (("empty", None), ("empty2", "r")):
        journal.create(name, "toy/sum-64", "offline", settings, "int x;", continues=continues)
    assert set(journal.run_ids()) == {"r", "empty", "empty2"}, "while it begins it is there"
    clock.now += STALE_S + 1
    assert journal.run_ids() == ["r"] and [status.run_id for status in journal.statuses()] == ["r"]
    for ask in (journal.first_row, journal.row, journal.status, journal.acquire):
        with pytest.raises(NeverBegunError, match=r"'empty' never began.*start the search again"):
            ask("empty")
    lease = journal.create("empty2", "toy/sum-64", "offline", settings, "int y;")
    journal.append(lease, "session", {})
    journal.release(lease)
    assert journal.status("empty2").continues is None and journal.row("empty2").source == "int y;"
    with pytest.raises(UnknownRunError, match="no run"):
        journal.first_row("\udc80")


def test_a_result_is_journalled_once(place: str | Path) -> None:
    journal = journal_with_run(place, Clock())
    lease = journal.acquire("r")
    journal.append(lease, "phase", {"iteration": 1}, key="phase/1")
    with pytest.raises(KnownAlreadyError):
        journal.append(lease, "phase", {"iteration": 9}, key="phase/1")
    assert len(journal.events("r")) == 2
    with pytest.raises(AgentError, match="exists already"):
        journal.create("r", "toy/sum-64", "offline", {}, "int x;")


def test_wall_clock_adds_up_sessions_without_the_time_between(place: str | Path) -> None:
    clock = Clock()
    journal = journal_with_run(place, clock)
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


def test_many_processes_open_a_new_database_at_once(place: str | Path) -> None:
    code = f"from autocomp_mcp.agent.runs.journal import Journal; Journal({str(place)!r}).statuses()"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


def test_events_and_what_is_looked_up_in_them(place: str | Path) -> None:
    journal = journal_with_run(place, clock := Clock())
    lease = journal.acquire("r")
    strange = "é \u0000 \\u0000 % ? '\""
    for number in range(5):
        clock.now += 1
        journal.append(lease, "phase", {"iteration": number, "text": strange}, key=f"phase/{number}")
    events = journal.events("r")
    assert [event["data"] for event in events[1:]] == [{"iteration": n, "text": strange} for n in range(5)]
    assert [event["key"] for event in journal.events("r", skip=4)] == ["phase/3", "phase/4"]
    assert events[1]["at"] == 1001.0 and isinstance(events[0]["at"], float)
    journal.append(lease, "problem", {"target": "toy", "family": "sum"}, key="problem")
    evaluation = {"kernel": "abc", "message": strange, "compilation": {"artifact": "def", "code": None}}
    journal.append(lease, "candidate", {"evaluation": evaluation}, key="candidate/1", source="int y; // ?")
    assert journal.family_runs("toy", "sum", 5) == ["r"] and journal.family_runs("toy", "max", 5) == []
    assert journal.find_kernel("def") == journal.find_kernel("abc") == ("int y; // ?", "toy/sum-64")
    assert journal.find_kernel("ghi") is None and journal.source("r", "1") == "int y; // ?"
    last = journal.last_event()
    assert journal.last_event_before(1004.0, among=500) == last - 3
    assert journal.changed(0, last, ("problem", "state")) == {"r"} and not journal.changed(0, last, ("state",))
    assert journal.leased() == ["r"] and journal.run_ids() == ["r"]


def test_two_writers_never_mix(place: str | Path) -> None:
    """Whoever has seen an event has seen all before it."""
    journal_with_run(place, Clock()).close()
    missed: list[int] = []
    done = threading.Event()

    def write(run: str) -> None:
        journal = Journal(place)
        lease = journal.create(run, "toy/sum-64", "offline", {}, "int x;")
        for number in range(40):
            journal.append(lease, "phase", {"iteration": number}, key=f"phase/{number}")
        journal.close()

    def watch() -> None:
        journal = Journal(place)
        while not done.is_set():
            last = journal.last_event()
            known = sum(len(journal.events(run)) for run in ("r", "a", "b"))
            missed.append(last - known) if known < last else None
        journal.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    writers = [threading.Thread(target=write, args=(run,)) for run in ("a", "b")]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    watcher.join()
    journal = Journal(place)
    assert not missed
    assert [len(journal.events(run)) for run in ("a", "b")] == [40, 40]


def test_leases_go_by_the_clock_of_the_database(postgresql: PostgresServer) -> None:
    """Machines that share it have clocks of their own."""
    journal = Journal(postgresql.new_database())
    lease = journal.create("r", "toy/sum-64", "offline", {}, "int x;")
    journal.append(lease, "session", {})
    assert journal.driven("r")
    with journal._db.writing():  # pyright: ignore[reportPrivateUsage]
        age = "UPDATE leases SET heartbeat = heartbeat - ?, host = 'another machine'"
        journal._db.execute(age, STALE_S - 5)  # pyright: ignore[reportPrivateUsage]
    assert journal.driven("r"), "of another machine only the heartbeat is known"
    with journal._db.writing():  # pyright: ignore[reportPrivateUsage]
        journal._db.execute("UPDATE leases SET heartbeat = heartbeat - 10")  # pyright: ignore[reportPrivateUsage]
    assert not journal.driven("r")
    journal.acquire("r")
    with pytest.raises(LeaseLostError):
        journal.beat(lease)


def test_jobs_are_kept_where_the_runs_are(place: str | Path) -> None:
    table, other = JobTable(place), JobTable(place)
    assert table.enter("a", "ann", 1, lambda run: True) and not other.enter("b", "ann", 1, lambda run: True)
    assert other.ask_to_stop("a") and table.to_stop() == ["a"]
    table.leave("a")
    assert other.enter("b", "ann", 1, lambda run: True)


def test_a_database_that_comes_back(postgresql: PostgresServer) -> None:
    place = postgresql.new_database()
    journal = Journal(place)
    lease = journal.create("r", "toy/sum-64", "offline", {}, "int x;")
    postgresql.stop()
    with pytest.raises(JournalError, match="cannot be written") as told:
        journal.append(lease, "phase", {"iteration": 0}, key="phase/0")
    assert "secret-of-the-tester" not in str(told.value)
    with pytest.raises(JournalError, match="cannot be read"):
        journal.events("r")
    postgresql.start()
    journal.append(lease, "phase", {"iteration": 0}, key="phase/0")
    assert len(journal.events("r")) == 1


def test_an_address_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers get their secrets."""
    (tmp_path / "address").write_text("postgresql://ann:hunter2@db.example.org/runs\n")
    monkeypatch.setenv("AUTOCOMP_DB_FILE", str(tmp_path / "address"))
    assert place_of(Home(tmp_path)) == "postgresql://ann:hunter2@db.example.org/runs"
    monkeypatch.delenv("AUTOCOMP_DB_FILE")
    assert place_of(Home(tmp_path)) == tmp_path / "autocomp.db"


def test_addresses_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMP_DB", "mysql://root:hunter2@there/runs")
    with pytest.raises(AgentUsageError, match="PostgreSQL") as told:
        place_of(Home(tmp_path))
    assert "hunter2" not in str(told.value)
    monkeypatch.setenv("AUTOCOMP_DB", "postgresql://tester:hunter2@127.0.0.1:1/runs")
    pytest.importorskip("psycopg")
    with pytest.raises(JournalError) as told:
        Journal.of(Home(tmp_path))
    assert "127.0.0.1/runs" in str(told.value) and "hunter2" not in str(told.value)
