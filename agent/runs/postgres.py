"""Runs in PostgreSQL: for servers of several machines that share them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, LiteralString, TypeVar, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from ..errors import JournalError, KnownAlreadyError
from ..keys import hidden, keep_secret
from .database import BUSY_TIMEOUT_S, Database, Row

T = TypeVar("T")

SCHEMA = "autocomp"
CONNECT_TIMEOUT_S = 10
# Any number: whoever writes to our tables takes the same. Events become visible in the order of their ids, as with
# SQLite, so that who has seen one has seen all before it.
_WRITE_LOCK = 0x6175746F


class PostgresDatabase(Database):
    """Connects when first used, and again when the connection was lost between two transactions."""

    number, serial, strict, all_rows = "DOUBLE PRECISION", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "", "ALL"

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._db: psycopg.Connection[Row] | None = None
        self.name = "PostgreSQL"
        with self._told("read"):
            parts = conninfo_to_dict(address)
            keep_secret(str(parts.get("password") or self._address))
            self.name = f"PostgreSQL {parts.get('host') or 'localhost'}/{parts.get('dbname') or parts.get('user', '')}"
            self._connected()

    def moment(self) -> float:
        return self.query("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8 AS now")[0]["now"]

    def field(self, column: str, *path: str) -> str:
        # PostgreSQL's JSON has no NUL, which the output of a compiler may hold. The text that is kept has it; here
        # it is left out, after pairs of backslashes, which do not begin an escape.
        text = rf"replace(replace(replace({column}, '\\', chr(1)), '\u0000', ''), chr(1), '\\')"
        return f"({text}::json #>> '{{{','.join(path)}}}')"

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _connected(self) -> psycopg.Connection[Row]:
        if self._db is not None and not self._db.closed:
            return self._db
        # Prepared statements live in a session, which a pooler between us may not keep.
        connection = psycopg.Connection[Row].connect(
            self._address, autocommit=True, row_factory=dict_row, prepare_threshold=None,  # pyright: ignore[reportArgumentType]
            connect_timeout=CONNECT_TIMEOUT_S, application_name="autocomp-mcp",
        )  # fmt: skip
        try:
            if connection.execute("SELECT to_regnamespace(%s) AS known", [SCHEMA]).fetchone() == {"known": None}:
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_WRITE_LOCK])
                    connection.execute("CREATE SCHEMA IF NOT EXISTS autocomp")
            settings = {"search_path": SCHEMA, "lock_timeout": f"{BUSY_TIMEOUT_S:.0f}s"}
            for name, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        except BaseException:
            connection.close()
            raise
        self._db = connection
        return connection

    def _run(self, statement: str, values: Sequence[Any]) -> tuple[list[Row], int]:
        text = cast(LiteralString, statement.replace("?", "%s"))
        cursor = self._first(lambda db: db.execute(text, values))
        return cursor.fetchall() if cursor.description else [], cursor.rowcount

    def _first(self, act: Callable[[psycopg.Connection[Row]], T]) -> T:
        """Act, once more on a new connection when the old one was lost while nobody used it."""
        try:
            return act(self._connected())
        except psycopg.OperationalError:
            if self._writing or self._db is None or not self._db.closed:
                raise
            return act(self._connected())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with ExitStack() as begun:
            self._first(lambda db: begun.enter_context(db.transaction()))
            self._connected().execute("SELECT pg_advisory_xact_lock(%s)", [_WRITE_LOCK])
            yield

    @contextmanager
    def _told(self, what: Literal["read", "written"]) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.UniqueViolation as error:
            raise KnownAlreadyError(f"{self.name}: {_said(error)}") from error
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise JournalError(f"the journal in {self.name} cannot be {what}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """One line; libpq may repeat what it was given."""
    return hidden(" ".join(str(error).split()))
