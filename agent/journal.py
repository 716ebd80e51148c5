"""The record of every run: an append-only list of events in SQLite, from which all else is derived.

A result is journalled under its key before anything uses it. To resume is to run the same search again, with every
key that is already there answered from here.

One process drives a run at a time. It holds a lease: a row with its pid and a heartbeat. A lease whose process is
dead, or whose heartbeat stopped, may be taken over; the former owner can then write nothing more.

A run is there from its first event on, or while a process drives it: one that was killed before left a row that nobody
is shown.

Neither leases nor the time a run took depend on the clock on the wall, which may be set while a search runs.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from ..hardware_adapters.base import Record
from .errors import (
    AgentError,
    AgentUsageError,
    JournalError,
    LeaseLostError,
    LimitType,
    NeverBegunError,
    RunBusyError,
    UnknownRunError,
)
from .keys import hidden
from .status import RunState, RunStatus, derive

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 20_000
HEARTBEAT_S = 5.0
STALE_S = 60.0  # a heartbeat older than this: the owner hangs or its machine is gone

_SCHEMA = """
CREATE TABLE IF NOT EXISTS agent_schema (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, problem TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    source TEXT NOT NULL, created REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL REFERENCES runs, kind TEXT NOT NULL, key TEXT,
    data TEXT NOT NULL, source TEXT, at REAL NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS event_keys ON events (run_id, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS event_order ON events (run_id, id);
CREATE TABLE IF NOT EXISTS leases (
    run_id TEXT PRIMARY KEY, token TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, heartbeat REAL NOT NULL
) STRICT;
"""

EventKind = Literal[
    "origin", "session", "limits", "problem", "lessons", "phase", "model", "profile", "candidate", "searched",
    "confirm", "state",
]  # fmt: skip
# Counts on while the machine sleeps, and is never set.
_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_live_tokens: set[str] = set()  # leases held by this very process: its pid may be that of a dead one


class SteadyClock:
    """The time of day, which within one process only goes forward, and as fast as time does."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._began = wall() - time.clock_gettime(_UPTIME)

    def __call__(self) -> float:
        return self._began + time.clock_gettime(_UPTIME)


class RunRow(Record):
    """What a run was started with; `settings` with the limits that it was resumed with."""

    run_id: str
    problem: str
    model: str
    settings: dict[str, Any]
    source: str
    created: float


class Journal:
    """All runs in one database file, which may hold other tables. Safe for several processes and threads.

    `clock`: seconds since 1970, for what is written down. `beats`: seconds since any moment that all processes of this
    machine share, for leases. Whatever writes raises JournalError when the database cannot be written, and then
    nothing was written.
    """

    def __init__(
        self,
        path: str | Path,
        clock: Callable[[], float] | None = None,
        *,
        beats: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = Path(path)
        self._clock = clock or SteadyClock()
        self._beats = beats
        self._lock = threading.RLock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False, isolation_level=None
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._writing():
            for statement in _SCHEMA.split(";"):
                if statement.strip():
                    self._db.execute(statement)
            row = self._db.execute("SELECT version FROM agent_schema").fetchone()
            if row is None:
                self._db.execute("INSERT INTO agent_schema VALUES (?)", (SCHEMA_VERSION,))
            elif row[0] != SCHEMA_VERSION:
                raise AgentError(
                    f"{self.path} was written by another version (schema {row[0]}, this one {SCHEMA_VERSION})"
                )

    def close(self) -> None:
        self._db.close()

    def now(self) -> float:
        """Of the clock that events are dated by."""
        return self._clock()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that has the write lock from its start: what it read still holds. Raises JournalError."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:  # disk full, locked for too long, no right to write
                raise JournalError(f"the journal {self.path} cannot be written: {error}") from error
            finally:
                if self._db.in_transaction:
                    with suppress(sqlite3.Error):  # of some errors SQLite has rolled back by itself
                        self._db.execute("ROLLBACK")

    # ------------------------------------------------------------ runs

    def create(
        self,
        run_id: str,
        problem: str,
        model: str,
        settings: dict[str, Any],
        source: str,
        *,
        continues: str | None = None,
    ) -> Lease:
        """Enter a new run; the caller drives it from its first moment. Raises AgentError when the id is taken.

        `continues`: the run whose best kernel `source` is.
        """
        with self._writing():
            self._clear(run_id)
            try:
                self._db.execute(
                    "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)",
                    (run_id, problem, model, json.dumps(settings), source, self._clock()),
                )
            except sqlite3.IntegrityError as error:
                raise AgentError(f"run {run_id!r} exists already; resume it, or leave the id out") from error
            if continues is not None:
                event = {"kind": "origin", "key": "origin", "data": {"continues": continues}, "at": self._clock()}
                self._insert(run_id, event)
            return self._grant(run_id)

    def adopt(self, run: RunRow, events: Sequence[Mapping[str, Any]]) -> bool:
        """Enter a run as another journal has it: `run` as `begun` gives it, `events` as `events` does with sources.

        All of it or nothing. False when it is here already. Raises AgentUsageError when this id is here with another
        content.
        """
        with self._writing():
            try:
                here = self.begun(run.run_id)
            except UnknownRunError:
                self._clear(run.run_id)
                row = (run.run_id, run.problem, run.model, json.dumps(run.settings), run.source, run.created)
                self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", row)
                for event in events:
                    self._insert(run.run_id, event)
                return True
            known = self.events(run.run_id, sources=True)
        if here == run and known == list(events):
            return False
        raise AgentUsageError(
            f"run {run.run_id!r} is here already and differs: {len(known)} events here, {len(events)} there; "
            "import it into another AUTOCOMP_HOME"
        )

    def begun(self, run_id: str) -> RunRow:
        """As it was started, without the limits of later sessions. Raises UnknownRunError, and as that
        NeverBegunError."""
        row = None
        with self._lock, suppress(UnicodeEncodeError):  # a caller's lone surrogates, which no id has
            row = self._db.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise UnknownRunError(run_id)
        if not self._exists(run_id):
            raise NeverBegunError(run_id)
        return RunRow(**{**dict(row), "settings": json.loads(row["settings"])})

    def run(self, run_id: str) -> RunRow:
        """Raises UnknownRunError."""
        begun = self.begun(run_id)
        with self._lock:
            query = "SELECT data FROM events WHERE run_id = ? AND kind = 'limits' ORDER BY id"
            changes = self._db.execute(query, (run_id,)).fetchall()
        settings = dict(begun.settings)
        for change in changes:
            settings |= json.loads(change["data"])
        return begun.model_copy(update={"settings": settings})

    def runs(self) -> list[RunStatus]:
        """Every run, the newest first."""
        return [self.status(run_id, with_source=False) for run_id in self.run_ids()]

    def runs_of(self, target: str, family: str, count: int) -> list[str]:
        """Ids of the newest runs on problems of a family."""
        query = (
            "SELECT e.run_id FROM events e JOIN runs r ON r.run_id = e.run_id WHERE e.key = 'problem'"
            " AND json_extract(e.data, '$.target') = ? AND json_extract(e.data, '$.family') = ?"
            " ORDER BY r.created DESC, r.run_id LIMIT ?"
        )
        with self._lock:
            return [row[0] for row in self._db.execute(query, (target, family, count)).fetchall()]

    def run_ids(self) -> list[str]:
        """Of all runs, the newest first."""
        with self._lock:
            rows = self._db.execute("SELECT run_id FROM runs ORDER BY created DESC, run_id").fetchall()
        return [row[0] for row in rows if self._exists(row[0])]

    def _exists(self, run_id: str) -> bool:
        """Where a run came from is entered with its row, and is no event of its own."""
        query = "SELECT EXISTS (SELECT 1 FROM events WHERE run_id = ? AND kind <> 'origin')"
        with self._lock:
            begun = self._db.execute(query, (run_id,)).fetchone()[0]
        return bool(begun) or self.driven(run_id)

    def _clear(self, run_id: str) -> None:
        """Room for a run under the id of one that never began."""
        if not self._exists(run_id):
            for table in ("events", "leases", "runs"):
                self._db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))

    def find_kernel(self, digest: str) -> tuple[str, str] | None:
        """(source, problem) of the kernel of any run whose source, artefact or machine code has this digest; the newest
        of several."""
        query = (
            "SELECT events.source, runs.problem FROM events JOIN runs USING (run_id) "
            "WHERE kind = 'candidate' AND events.source IS NOT NULL AND ?1 IN ("
            "json_extract(data, '$.evaluation.kernel'), json_extract(data, '$.evaluation.compilation.artifact'),"
            " json_extract(data, '$.evaluation.compilation.code')) ORDER BY id DESC LIMIT 1"
        )
        with self._lock:
            row = self._db.execute(query, (digest,)).fetchone()
        return (row[0], row[1]) if row else None

    def status(self, run_id: str, *, with_source: bool = True) -> RunStatus:
        """Raises UnknownRunError."""
        run = self.run(run_id)
        status = derive(
            run.model_dump(exclude={"source"}), self.events(run_id), alive=self.driven(run_id), now=self._clock()
        )
        if not with_source or status.best is None:
            return status
        return status.model_copy(update={"best_source": self.source(run_id, status.best.candidate)})

    def source(self, run_id: str, candidate: str) -> str | None:
        """The kernel of a candidate, None when there is no such candidate."""
        query = "SELECT source FROM events WHERE run_id = ? AND key = ?"
        with self._lock:
            row = self._db.execute(query, (run_id, f"candidate/{candidate}")).fetchone()
        return row[0] if row else None

    # ------------------------------------------------------------ events

    def events(self, run_id: str, *, sources: bool = False, skip: int = 0) -> list[dict[str, Any]]:
        """In the order they were written, without the first `skip`: kind, key, data, at, and `source` if asked for."""
        fields = "kind, key, data, at" + (", source" if sources else "")
        query = f"SELECT {fields} FROM events WHERE run_id = ? ORDER BY id LIMIT -1 OFFSET ?"
        with self._lock:
            rows = self._db.execute(query, (run_id, skip)).fetchall()
        return [{**dict(row), "data": json.loads(row["data"])} for row in rows]

    def append(
        self,
        lease: Lease,
        kind: EventKind,
        data: dict[str, Any],
        *,
        key: str | None = None,
        source: str | None = None,
    ) -> None:
        """Durable when this returns. Raises LeaseLostError, and writes nothing, if another process took over."""
        with self._writing():
            self._renew(lease)
            event = {"kind": kind, "key": key, "data": data, "source": source, "at": self._clock()}
            self._insert(lease.run_id, event)

    def _insert(self, run_id: str, event: Mapping[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO events (run_id, kind, key, data, source, at) VALUES (?, ?, ?, ?, ?, ?)",
            (run_id, event["kind"], event["key"], hidden(json.dumps(event["data"])), event.get("source"), event["at"]),
        )

    def set_state(
        self, lease: Lease, state: RunState, reason: str | None = None, limit: LimitType | None = None
    ) -> None:
        self.append(lease, "state", {"state": state, "reason": reason, "limit": limit})

    # ------------------------------------------------------------ leases

    def acquire(self, run_id: str) -> Lease:
        """Raises UnknownRunError, RunBusyError."""
        self.run(run_id)
        with self._writing():
            row = self._db.execute("SELECT * FROM leases WHERE run_id = ?", (run_id,)).fetchone()
            if row is not None and self._alive(row):
                raise RunBusyError(run_id, row["pid"])
            return self._grant(run_id)

    def _grant(self, run_id: str) -> Lease:
        lease = Lease(run_id=run_id, token=uuid.uuid4().hex)
        _live_tokens.add(lease.token)
        self._db.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
            (run_id, lease.token, socket.gethostname(), os.getpid(), self._beats()),
        )
        return lease

    def beat(self, lease: Lease) -> None:
        """Say that the owner lives. Raises LeaseLostError."""
        with self._writing():
            self._renew(lease)

    def release(self, lease: Lease) -> None:
        _live_tokens.discard(lease.token)
        with self._writing():
            self._db.execute("DELETE FROM leases WHERE run_id = ? AND token = ?", (lease.run_id, lease.token))

    def driven(self, run_id: str) -> bool:
        """Whether a live process holds the run's lease."""
        with self._lock:
            row = self._db.execute("SELECT * FROM leases WHERE run_id = ?", (run_id,)).fetchone()
        return row is not None and self._alive(row)

    def _renew(self, lease: Lease) -> None:
        query = "UPDATE leases SET heartbeat = ? WHERE run_id = ? AND token = ?"
        if self._db.execute(query, (self._beats(), lease.run_id, lease.token)).rowcount != 1:
            raise LeaseLostError(f"run {lease.run_id!r} was taken over by another process")

    def _alive(self, row: sqlite3.Row) -> bool:
        if not -1.0 <= self._beats() - row["heartbeat"] <= STALE_S:  # from before this machine started: ahead of now
            return False
        if row["host"] != socket.gethostname():
            return True
        if row["pid"] == os.getpid():
            return row["token"] in _live_tokens
        try:
            os.kill(row["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class Lease(Record):
    """The right to drive one run."""

    run_id: str
    token: str
