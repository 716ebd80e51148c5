"""Where runs are kept: SQLite in the home, or PostgreSQL ($AUTOCOMP_DB) for servers that share their runs.

Statements are written once, with `?` for values, in what both understand; a `Database` says the rest in its own way.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from ..errors import AgentError, AgentUsageError, JournalError, KnownAlreadyError
from ..keys import find_key

DATABASE_VARIABLE = "AUTOCOMP_DB"
BUSY_TIMEOUT_S = 20.0
_POSTGRES = ("postgresql://", "postgres://")
Row = dict[str, Any]


class HasDatabase(Protocol):
    """A home."""

    @property
    def database(self) -> Path: ...


class Database(ABC):
    """One connection, which threads may share. Whatever fails raises JournalError, what is there already
    KnownAlreadyError."""

    name: str  # for people: without a password
    number: str  # the type of a floating-point number of 64 bits
    serial: str  # the type of a key that counts up
    strict: str  # what a table definition ends with
    all_rows: str  # a LIMIT that is none

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._writing = False

    @abstractmethod
    def moment(self) -> float:
        """Seconds of a clock that is the same for all who share this database, and is never set."""

    @abstractmethod
    def field(self, column: str, *path: str) -> str:
        """The SQL of a text within a column of JSON."""

    def query(self, statement: str, *values: Any) -> list[Row]:
        with self._lock, self._told("read"):
            return self._run(statement, values)[0]

    def execute(self, statement: str, *values: Any) -> int:
        """Within `writing`. Returns how many rows it changed."""
        assert self._writing, "a change belongs into a transaction"
        return self._run(statement, values)[1]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that has the write lock from its start: what it reads still holds at its end. If it raises,
        nothing was written."""
        with self._lock, self._told("written"), self._transaction():
            self._writing = True
            try:
                yield
            finally:
                self._writing = False

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _run(self, statement: str, values: Sequence[Any]) -> tuple[list[Row], int]: ...

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _told(self, what: Literal["read", "written"]) -> AbstractContextManager[None]:
        """Errors of the driver as this module's."""


class SqliteDatabase(Database):
    """A file, in WAL mode; safe for several processes of one machine."""

    number, serial, strict, all_rows = "REAL", "INTEGER PRIMARY KEY AUTOINCREMENT", "STRICT", "-1"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.name = str(path)
        with self._told("written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")

    def moment(self) -> float:
        return time.monotonic()

    def field(self, column: str, *path: str) -> str:
        return f"json_extract({column}, '$.{'.'.join(path)}')"

    def close(self) -> None:
        self._db.close()

    def _run(self, statement: str, values: Sequence[Any]) -> tuple[list[Row], int]:
        cursor = self._db.execute(statement, values)
        return [dict(row) for row in cursor.fetchall()], cursor.rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):  # of some errors SQLite has rolled back by itself
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _told(self, what: Literal["read", "written"]) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise KnownAlreadyError(f"{self.name}: {error}") from error
        except sqlite3.Error as error:  # disk full, locked for too long, no right to write, no database
            raise JournalError(f"the journal {self.name} cannot be {what}: {error}") from error


def place_of(home: HasDatabase) -> str | Path:
    """Where the runs are that this home's searches write and its servers show: $AUTOCOMP_DB, or what the file says that
    $AUTOCOMP_DB_FILE names, else a file in the home.

    Raises AgentUsageError for an address of anything but PostgreSQL, and for a file that cannot be read.
    """
    key = find_key(DATABASE_VARIABLE, in_keyring=False)
    if key is None:
        return home.database
    address = key.value
    if not address.startswith(_POSTGRES):
        scheme = address.partition(":")[0][:20] if "://" in address else "a path"
        raise AgentUsageError(
            f"{DATABASE_VARIABLE} is the address of a PostgreSQL database, postgresql://USER:PASSWORD@HOST/NAME, not "
            f"{scheme}; without it runs are kept in SQLite in AUTOCOMP_HOME"
        )
    return address


def opened(place: str | Path) -> Database:
    """`place`: the path of an SQLite file, made if need be, or an address postgresql://…"""
    if isinstance(place, str) and place.startswith(_POSTGRES):
        try:
            from .postgres import PostgresDatabase
        except ImportError as error:
            raise AgentError(
                f"{DATABASE_VARIABLE} names PostgreSQL, which needs psycopg: pip install 'autocomp-mcp[postgres]'"
            ) from error
        return PostgresDatabase(place)
    return SqliteDatabase(Path(place))
