"""Everything that outlives a process: the home folder, its locks, and the cache of evaluations."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import anyio
from pydantic import ValidationError

from .base import EnvironmentLackError, Evaluation

HOME_VARIABLE = "AUTOCOMP_HOME"
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 20.0
LOCK_POLL_S = 0.05


class Home:
    """The folder of one user's runs, results and builds: $AUTOCOMP_HOME, else the platform's user data directory.

    Folders are made when first asked for. Raises EnvironmentLackError when they cannot be.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            named = os.environ.get(HOME_VARIABLE)
            if named:
                path = Path(named)
            else:
                from platformdirs import user_data_path

                path = user_data_path("autocomp-mcp", appauthor=False)
        self.path = path.expanduser().absolute()

    @property
    def database(self) -> Path:
        """SQLite file in WAL mode; each room creates its own tables in it."""
        return self._folder(self.path) / "autocomp.db"

    @property
    def artifacts(self) -> Path:
        """Content-addressed files: compiled kernels, timelines."""
        return self._folder(self.path / "artifacts")

    @property
    def cache(self) -> Path:
        """What can be made again: simulator builds."""
        return self._folder(self.path / "cache")

    @property
    def zig_cache(self) -> Path:
        """The compiler's own: what it builds of its libraries."""
        return self._folder(self.cache / "zig")

    @property
    def problems(self) -> Path:
        """The user's own problems."""
        return self._folder(self.path / "problems")

    def keep(self, content: bytes, suffix: str, digest: str | None = None) -> str:
        """Store an artefact under its digest, which is returned (SHA-256, 16 hex digits; or `digest`, where another one
        is the content's name). Idempotent and atomic."""
        digest = digest or hashlib.sha256(content).hexdigest()[:16]
        target = self.artifact(digest, suffix)
        if not self.touched(digest, suffix):
            self._folder(target.parent)
            replace(target, content)
        return digest

    def touched(self, digest: str, suffix: str) -> bool:
        """Whether the artefact is here; if so it counts as used now, and stays when old ones go (eviction.py)."""
        try:
            os.utime(self.artifact(digest, suffix))
        except FileNotFoundError:
            return False
        except OSError:  # a home that is only read
            return self.artifact(digest, suffix).exists()
        return True

    def artifact(self, digest: str, suffix: str) -> Path:
        return self.artifacts / digest[:2] / f"{digest}{suffix}"

    def _folder(self, path: Path) -> Path:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentLackError(
                f"cannot create {path}: {error.strerror}; set {HOME_VARIABLE} to a folder that can be written"
            ) from error
        return path


def replace(target: Path, content: bytes) -> None:
    """Whoever reads the file sees it whole, the old one or the new one."""
    part = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold an exclusive lock among processes and tasks. The kernel releases it when the holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await anyio.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


class EvaluationCache:
    """Finished evaluations by key, shared by all processes of one home. Every method may be called from any thread."""

    def __init__(self, home: Home, *, clock: Callable[[], float] = time.time) -> None:
        self._path = home.database
        self._clock = clock

    def get(self, *keys: str) -> Evaluation | None:
        """Of the first of these keys that is known."""
        with closing(self._connect()) as database:
            for key in keys:
                row = database.execute("SELECT evaluation FROM evaluations WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    with suppress(ValidationError):  # written by another version of this package: evaluated again
                        return Evaluation.model_validate_json(row[0])
        return None

    def put(self, key: str, evaluation: Evaluation) -> None:
        """Two processes may evaluate the same kernel at once; the results are equal and the last one stays."""
        row = (key, evaluation.problem, evaluation.kernel, evaluation.model_dump_json(), self._clock())
        with closing(self._connect()) as database, database:
            database.execute("INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?)", row)

    def keep_newest(self, count: int) -> int:
        """Forget all but so many; returns how many were forgotten."""
        with closing(self._connect()) as database, database:
            known = database.execute("SELECT count(*) FROM evaluations").fetchone()[0]
            if known <= count:
                return 0
            oldest = "SELECT key FROM evaluations ORDER BY created LIMIT ?"
            query = f"DELETE FROM evaluations WHERE key IN ({oldest})"
            return database.execute(query, (known - count,)).rowcount

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)
        try:
            if _version(database) != SCHEMA_VERSION:  # a look into the cache takes no lock for writing
                database.execute("PRAGMA journal_mode=WAL")
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    _migrate(database)
        except BaseException:
            database.close()
            raise
        return database


def _version(database: sqlite3.Connection) -> int | None:
    try:
        row = database.execute("SELECT version FROM schema_version WHERE owner = 'evaluations'").fetchone()
    except sqlite3.OperationalError:
        return None  # no such table yet
    return row[0] if row else None


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the tables of this module to SCHEMA_VERSION; other rooms keep their own versions beside it."""
    database.execute("CREATE TABLE IF NOT EXISTS schema_version (owner TEXT PRIMARY KEY, version INTEGER NOT NULL)")
    if _version(database) == SCHEMA_VERSION:
        return
    # A cache is not migrated: results of another layout are simply worked out again.
    database.execute("DROP TABLE IF EXISTS evaluations")
    database.execute(
        "CREATE TABLE evaluations (key TEXT PRIMARY KEY, problem TEXT NOT NULL, kernel TEXT NOT NULL,"
        " evaluation TEXT NOT NULL, created REAL NOT NULL)"
    )
    database.execute("INSERT OR REPLACE INTO schema_version VALUES ('evaluations', ?)", (SCHEMA_VERSION,))
