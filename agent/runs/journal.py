"""The record of every run: an append-only list of events in a database, from which all else is derived.

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
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from ...hardware_adapters.base import Record
from ..errors import (
    AgentError,
    AgentUsageError,
    KnownAlreadyError,
    LeaseLostError,
    LimitType,
    NeverBegunError,
    RunBusyError,
    UnknownRunError,
)
from ..keys import hidden
from .database import HasDatabase, Row, opened, place_of
from .status import RunRow, RunState, RunStatus, derive

SCHEMA_VERSION = 1
HEARTBEAT_S = 5.0
STALE_S = 60.0  # a heartbeat older than this: the owner hangs or its machine is gone

_TABLES = """
CREATE TABLE IF NOT EXISTS agent_schema (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, problem TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    source TEXT NOT NULL, created {number} NOT NULL) {strict};
CREATE TABLE IF NOT EXISTS events (
    id {serial}, run_id TEXT NOT NULL REFERENCES runs, kind TEXT NOT NULL, key TEXT,
    data TEXT NOT NULL, source TEXT, at {number} NOT NULL) {strict};
CREATE UNIQUE INDEX IF NOT EXISTS event_keys ON events (run_id, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS event_order ON events (run_id, id);
CREATE TABLE IF NOT EXISTS leases (
    run_id TEXT PRIMARY KEY, token TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
    heartbeat {number} NOT NULL) {strict};
"""

# Where a run came from is entered with its row, and is no event of its own.
_BEGUN = "EXISTS (SELECT 1 FROM events WHERE events.run_id = runs.run_id AND kind <> 'origin') AS begun"

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


class Journal:
    """All runs in one database, which may hold other tables. Safe for several processes and threads.

    `place`: an SQLite file or the address of a PostgreSQL database (see database.py). `clock`: seconds since 1970, for
    what is written down. `beats`: seconds since any moment that all who share the database agree on, for leases.
    Raises JournalError when the database cannot be read or written, and then nothing was written.
    """

    def __init__(
        self, place: str | Path, clock: Callable[[], float] | None = None, *, beats: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock or SteadyClock()
        self._db = opened(place)
        self._beats = beats or self._db.moment
        tables = _TABLES.format(number=self._db.number, serial=self._db.serial, strict=self._db.strict)
        with self._db.writing():
            for statement in tables.split(";"):
                if statement.strip():
                    self._db.execute(statement)
            known = self._db.query("SELECT version FROM agent_schema")
            if not known:
                self._db.execute("INSERT INTO agent_schema VALUES (?)", SCHEMA_VERSION)
            elif (version := known[0]["version"]) != SCHEMA_VERSION:
                raise AgentError(
                    f"{self._db.name} was written by another version (schema {version}, this one {SCHEMA_VERSION})"
                )

    @classmethod
    def of(cls, home: HasDatabase) -> Self:
        """Where this home's runs are. Raises as `place_of` too."""
        return cls(place_of(home))

    def close(self) -> None:
        self._db.close()

    def now(self) -> float:
        """Of the clock that events are dated by."""
        return self._clock()

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
        with self._db.writing():
            self._clear(run_id)
            row = (run_id, problem, model, json.dumps(settings), source, self._clock())
            if not self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", *row):
                raise KnownAlreadyError(f"run {run_id!r} exists already; resume it, or leave the id out")
            if continues is not None:
                event = {"kind": "origin", "key": "origin", "data": {"continues": continues}, "at": self._clock()}
                self._insert(run_id, event)
            return self._grant(run_id)

    def adopt(self, run: RunRow, events: Sequence[Mapping[str, Any]]) -> bool:
        """Enter a run as another journal has it: `run` as `first_row` gives it, `events` as `events` does with sources.

        All of it or nothing. False when it is here already. Raises AgentUsageError when this id is here with another
        content.
        """
        with self._db.writing():
            try:
                here = self.first_row(run.run_id)
            except UnknownRunError:
                self._clear(run.run_id)
                row = (run.run_id, run.problem, run.model, json.dumps(run.settings), run.source, run.created)
                self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", *row)
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

    def first_row(self, run_id: str) -> RunRow:
        """As it was started, without the limits of later sessions. Raises UnknownRunError, and as that
        NeverBegunError."""
        query = f"SELECT runs.*, {_BEGUN} FROM runs WHERE run_id = ?"
        found = self._db.query(query, run_id) if run_id.isprintable() else []
        if not found:
            raise UnknownRunError(run_id)
        row = found[0]
        if not row.pop("begun") and not self.driven(run_id):
            raise NeverBegunError(run_id)
        return RunRow(**{**row, "settings": json.loads(row["settings"])})

    def row(self, run_id: str) -> RunRow:
        """With the limits of later sessions. Raises as `first_row`."""
        query = "SELECT data FROM events WHERE run_id = ? AND kind = 'limits' ORDER BY id"
        first = self.first_row(run_id)
        return first.with_limits(json.loads(change["data"]) for change in self._db.query(query, run_id))

    def statuses(self) -> list[RunStatus]:
        """Of every run, the newest first."""
        return [self.status(run_id, with_source=False) for run_id in self.run_ids()]

    def family_runs(self, target: str, family: str, count: int) -> list[str]:
        """Ids of the newest runs on problems of a family."""
        query = (
            "SELECT e.run_id FROM events e JOIN runs r ON r.run_id = e.run_id WHERE e.key = 'problem'"
            f" AND {self._db.field('e.data', 'target')} = ? AND {self._db.field('e.data', 'family')} = ?"
            " ORDER BY r.created DESC, r.run_id LIMIT ?"
        )
        return [row["run_id"] for row in self._db.query(query, target, family, count)]

    def run_ids(self) -> list[str]:
        """Of all runs, the newest first."""
        query = f"SELECT run_id, {_BEGUN} FROM runs ORDER BY created DESC, run_id"
        return [row["run_id"] for row in self._db.query(query) if row["begun"] or self.driven(row["run_id"])]

    def _clear(self, run_id: str) -> None:
        """Room for a run under the id of one that never began."""
        try:
            self.first_row(run_id)
        except NeverBegunError:
            for table in ("events", "leases", "runs"):
                self._db.execute(f"DELETE FROM {table} WHERE run_id = ?", run_id)
        except UnknownRunError:
            pass

    def find_kernel(self, digest: str) -> tuple[str, str] | None:
        """(source, problem) of the kernel of any run whose source, artefact or machine code has this digest; the newest
        of several."""
        names = (("kernel",), ("compilation", "artifact"), ("compilation", "code"))
        digests = ", ".join(self._db.field("data", "evaluation", *name) for name in names)
        query = (
            "SELECT events.source AS kernel, runs.problem FROM events JOIN runs ON runs.run_id = events.run_id "
            f"WHERE kind = 'candidate' AND events.source IS NOT NULL AND ? IN ({digests}) ORDER BY id DESC LIMIT 1"
        )
        rows = self._db.query(query, digest)
        return (rows[0]["kernel"], rows[0]["problem"]) if rows else None

    def status(self, run_id: str, *, with_source: bool = True) -> RunStatus:
        """Raises UnknownRunError."""
        row = self.row(run_id)
        status = derive(row, self.events(run_id), alive=self.driven(run_id), now=self._clock())
        if not with_source or status.best is None:
            return status
        return status.model_copy(update={"best_source": self.source(run_id, status.best.candidate)})

    def source(self, run_id: str, candidate: str) -> str | None:
        """The kernel of a candidate, None when there is no such candidate."""
        query = "SELECT source FROM events WHERE run_id = ? AND key = ?"
        rows = self._db.query(query, run_id, f"candidate/{candidate}")
        return rows[0]["source"] if rows else None

    # ------------------------------------------------------------ events

    def events(self, run_id: str, *, sources: bool = False, skip: int = 0) -> list[dict[str, Any]]:
        """In the order they were written, without the first `skip`: kind, key, data, at, and `source` if asked for."""
        fields = "kind, key, data, at" + (", source" if sources else "")
        query = f"SELECT {fields} FROM events WHERE run_id = ? ORDER BY id LIMIT {self._db.all_rows} OFFSET ?"
        return [{**row, "data": json.loads(row["data"])} for row in self._db.query(query, run_id, skip)]

    def pulse(self, run_id: str) -> tuple[int, bool]:
        """The number of the run's newest event, and whether it is driven: while both are as they were, so is its
        status, but for the time."""
        last = self._db.query("SELECT coalesce(max(id), 0) AS last FROM events WHERE run_id = ?", run_id)[0]["last"]
        return last, self.driven(run_id)

    def last_event(self) -> int:
        """The number of the newest event of all runs; 0 when there is none."""
        return self._db.query("SELECT coalesce(max(id), 0) AS last FROM events")[0]["last"]

    def last_event_before(self, at: float, among: int) -> int:
        """The number of the last event before that time; of the newest `among` events only."""
        recent = "SELECT id, at FROM events ORDER BY id DESC LIMIT ?"
        query = f"SELECT min(id) - 1 AS last FROM ({recent}) AS recent WHERE at > ?"
        last = self._db.query(query, among, at)[0]["last"]
        return self.last_event() if last is None else last

    def changed(self, after: int, until: int, kinds: Collection[str]) -> set[str]:
        """The runs with events of these kinds and of numbers above `after`, up to `until`."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT DISTINCT run_id FROM events WHERE id > ? AND id <= ? AND kind IN ({marks})"
        return {row["run_id"] for row in self._db.query(query, after, until, *kinds)}

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
        with self._db.writing():
            self._renew(lease)
            event = {"kind": kind, "key": key, "data": data, "source": source, "at": self._clock()}
            self._insert(lease.run_id, event)

    def _insert(self, run_id: str, event: Mapping[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO events (run_id, kind, key, data, source, at) VALUES (?, ?, ?, ?, ?, ?)",
            run_id, event["kind"], event["key"], hidden(json.dumps(event["data"])), event.get("source"), event["at"],
        )  # fmt: skip

    def set_state(
        self, lease: Lease, state: RunState, reason: str | None = None, limit: LimitType | None = None
    ) -> None:
        self.append(lease, "state", {"state": state, "reason": reason, "limit": limit})

    # ------------------------------------------------------------ leases

    def acquire(self, run_id: str) -> Lease:
        """Raises UnknownRunError, RunBusyError."""
        self.row(run_id)
        with self._db.writing():
            held = self._db.query("SELECT * FROM leases WHERE run_id = ?", run_id)
            if held and self._alive(held[0]):
                raise RunBusyError(run_id, held[0]["pid"], held[0]["host"])
            return self._grant(run_id)

    def _grant(self, run_id: str) -> Lease:
        lease = Lease(run_id=run_id, token=uuid.uuid4().hex)
        _live_tokens.add(lease.token)
        self._db.execute(
            "INSERT INTO leases VALUES (?, ?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET"
            " token = excluded.token, host = excluded.host, pid = excluded.pid, heartbeat = excluded.heartbeat",
            run_id, lease.token, socket.gethostname(), os.getpid(), self._beats(),
        )  # fmt: skip
        return lease

    def beat(self, lease: Lease) -> None:
        """Say that the owner lives. Raises LeaseLostError."""
        with self._db.writing():
            self._renew(lease)

    def release(self, lease: Lease) -> None:
        _live_tokens.discard(lease.token)
        with self._db.writing():
            self._db.execute("DELETE FROM leases WHERE run_id = ? AND token = ?", lease.run_id, lease.token)

    def driven(self, run_id: str) -> bool:
        """Whether a live process holds the run's lease."""
        held = self._db.query("SELECT * FROM leases WHERE run_id = ?", run_id)
        return bool(held) and self._alive(held[0])

    def leased(self) -> list[str]:
        """Runs that somebody drives, or drove until he died."""
        return [row["run_id"] for row in self._db.query("SELECT run_id FROM leases")]

    def _renew(self, lease: Lease) -> None:
        query = "UPDATE leases SET heartbeat = ? WHERE run_id = ? AND token = ?"
        if self._db.execute(query, self._beats(), lease.run_id, lease.token) != 1:
            raise LeaseLostError(f"run {lease.run_id!r} was taken over by another process")

    def _alive(self, row: Row) -> bool:
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
