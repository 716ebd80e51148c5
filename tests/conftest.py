"""What all test modules share: one cache of builds, so that a session builds the simulator once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from scoreboard import how_many, pytest_addoption, pytest_terminal_summary, score

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
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cache").symlink_to(builds)
        return folder

    return make


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
