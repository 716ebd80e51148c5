"""Which searches run as jobs of which server process: in the home's database, so that any server of the home can stop
another's search, and all of them together keep to a caller's limit."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_TIMEOUT_S = 20.0
BEGINS_WITHIN_S = 60.0  # so long a job may be without a run in the journal
_SCHEMA = """CREATE TABLE IF NOT EXISTS jobs (
    run_id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, caller TEXT, began REAL NOT NULL,
    stop INTEGER NOT NULL DEFAULT 0) STRICT"""


class JobTable:
    """Rows of jobs whose process died stay until somebody looks. Every method may be called from any thread."""

    def __init__(self, database: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = database
        self._clock = clock
        self._me = (socket.gethostname(), os.getpid())
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SCHEMA)

    def enter(self, run_id: str, caller: str | None, at_once: int | None, driven: Callable[[str], bool | None]) -> bool:
        """False, and nothing entered, when this caller has `at_once` jobs already. `driven`: whether a process drives a
        run; None when there is no such run yet."""
        with self._connected() as connection:
            dead: list[tuple[str]] = []
            if at_once is not None:  # looked at before the lock is taken: `driven` may have to wait for a writer
                rows = connection.execute("SELECT run_id, began FROM jobs WHERE caller = ?", (caller,)).fetchall()
                dead = [(known,) for known, began in rows if not self._lives(driven(known), began)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM jobs WHERE run_id = ?", dead)
            alive = connection.execute("SELECT count(*) FROM jobs WHERE caller = ?", (caller,)).fetchone()[0]
            if at_once is not None and alive >= at_once:
                return False
            values = (run_id, *self._me, caller, self._clock())
            connection.execute("INSERT INTO jobs (run_id, host, pid, caller, began) VALUES (?, ?, ?, ?, ?)", values)
            return True

    def _lives(self, driven: bool | None, began: float) -> bool:
        return self._clock() - began < BEGINS_WITHIN_S if driven is None else driven

    def leave(self, run_id: str) -> None:
        with self._connected() as connection:
            connection.execute("DELETE FROM jobs WHERE run_id = ?", (run_id,))

    def ask_to_stop(self, run_id: str) -> bool:
        """False when no server has it as a job. The process that has it looks at `to_stop` several times a second."""
        with self._connected() as connection:
            return connection.execute("UPDATE jobs SET stop = 1 WHERE run_id = ?", (run_id,)).rowcount == 1

    def to_stop(self) -> list[str]:
        """The jobs of this process that somebody asked to stop."""
        with self._connected() as connection:
            query = "SELECT run_id FROM jobs WHERE stop AND host = ? AND pid = ?"
            return [row[0] for row in connection.execute(query, self._me).fetchall()]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)) as connection, connection:
            yield connection
