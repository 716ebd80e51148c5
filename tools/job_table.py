"""Which searches run as jobs of which server process: beside the runs, so that any server that has them can stop
another's search, and all of them together keep to a caller's limit."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from ..agent.runs.database import opened

BEGINS_WITHIN_S = 60.0  # so long a job may be without a run in the journal
_TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    run_id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, caller TEXT, began {number} NOT NULL,
    stop INTEGER NOT NULL DEFAULT 0) {strict}"""


class JobTable:
    """Rows of jobs whose process died stay until somebody looks. Every method may be called from any thread, and raises
    JournalError when the database cannot be used."""

    def __init__(self, place: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._me = (socket.gethostname(), os.getpid())
        self._db = opened(place)
        with self._db.writing():
            self._db.execute(_TABLE.format(number=self._db.number, strict=self._db.strict))

    def enter(self, run_id: str, caller: str | None, at_once: int | None, driven: Callable[[str], bool | None]) -> bool:
        """False, and nothing entered, when this caller has `at_once` jobs already. `driven`: whether a process drives a
        run; None when there is no such run yet."""
        dead: list[str] = []
        if at_once is not None:  # looked at before the lock is taken: `driven` may have to wait for a writer
            rows = self._db.query("SELECT run_id, began FROM jobs WHERE caller = ?", caller)
            dead = [row["run_id"] for row in rows if not self._lives(driven(row["run_id"]), row["began"])]
        with self._db.writing():
            for known in dead:
                self._db.execute("DELETE FROM jobs WHERE run_id = ?", known)
            alive = self._db.query("SELECT count(*) AS alive FROM jobs WHERE caller = ?", caller)[0]["alive"]
            if at_once is not None and alive >= at_once:
                return False
            values = (run_id, *self._me, caller, self._clock())
            self._db.execute("INSERT INTO jobs (run_id, host, pid, caller, began) VALUES (?, ?, ?, ?, ?)", *values)
            return True

    def _lives(self, driven: bool | None, began: float) -> bool:
        return self._clock() - began < BEGINS_WITHIN_S if driven is None else driven

    def leave(self, run_id: str) -> None:
        with self._db.writing():
            self._db.execute("DELETE FROM jobs WHERE run_id = ?", run_id)

    def ask_to_stop(self, run_id: str) -> bool:
        """False when no server has it as a job. The process that has it looks at `to_stop` several times a second."""
        with self._db.writing():
            return self._db.execute("UPDATE jobs SET stop = 1 WHERE run_id = ?", run_id) == 1

    def to_stop(self) -> list[str]:
        """The jobs of this process that somebody asked to stop."""
        query = "SELECT run_id FROM jobs WHERE stop = 1 AND host = ? AND pid = ?"
        return [row["run_id"] for row in self._db.query(query, *self._me)]

    def close(self) -> None:
        self._db.close()
