"""What all test modules share: one cache of builds, so that a session builds the simulator once."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.store import HOME_VARIABLE
from postgres_server import PostgresServer, postgres, programs
from scoreboard import how_many, pytest_addoption, pytest_terminal_summary, score
from server_process import BUILDS_VARIABLE, with_builds

__all__ = ["how_many", "pytest_addoption", "pytest_terminal_summary", "score"]

MakeHome = Callable[[Path], Path]


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache that all tests of this session share, those of every xdist worker too.

    Nothing is built here: whoever needs a program first builds it, under the lock that the package itself takes, and
    the entries are keyed by their sources.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "builds"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def make_home(builds: Path) -> MakeHome:
    """Makes a folder a home (AUTOCOMP_HOME) of its own with the shared builds; returns the folder."""

    def make(folder: Path) -> Path:
        return with_builds(folder, builds)

    return make


@pytest.fixture(scope="session", autouse=True)
def _own_home(builds: Path, make_home: MakeHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test builds its launcher in the home of whoever runs the tests, or finds a key in his keyring."""
    os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    os.environ[BUILDS_VARIABLE] = str(builds)
    if HOME_VARIABLE in os.environ:
        yield
        return
    os.environ[HOME_VARIABLE] = str(make_home(tmp_path_factory.mktemp("session") / "home"))
    yield
    del os.environ[HOME_VARIABLE]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A server of this session's own, where PostgreSQL is installed."""
    binaries = programs()
    if binaries is None:
        pytest.skip("POSTGRESQL NOT TESTED: no initdb and postgres, on PATH or in /usr/lib/postgresql")
    pytest.importorskip("psycopg", reason="POSTGRESQL NOT TESTED: pip install 'autocomp-mcp[postgres]'")
    with postgres(binaries) as started:
        yield started


@pytest.fixture
def stand_ins_shown(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stand-ins of vendors' tools run this Python, and read and write here: the sandbox would hide both from them."""
    shown = (sys.prefix, sys.base_prefix, Path(__file__).parents[1], tmp_path_factory.getbasetemp())
    monkeypatch.setenv("AUTOCOMP_SANDBOX_SHOW", os.pathsep.join(map(str, shown)))


@pytest.fixture
def simulating() -> Callable[[Path], bool]:
    """Tells whether a simulator of that home is running: looks for its command line in /proc."""

    def look(home: Path) -> bool:
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has just ended
                lines.append(path.read_bytes())
        return any(line.startswith(str(home).encode()) and b"\0job\0" in line for line in lines)

    if not Path("/proc/self/cmdline").exists():
        pytest.skip("looks for processes in /proc")
    return look
