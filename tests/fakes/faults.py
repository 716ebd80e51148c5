"""Faults for the tests of what survives them: real ones, since a fake disk is never full in the way a real one is."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self

FILL = "fill"
_MOUNTED = 'mkdir -p "$2" && mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
_HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def can_mount() -> bool:
    """Whether a process may have mounts of its own here."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return tried.returncode == 0


def on_small_disk(folder: Path, size: str, command: list[str]) -> list[str]:
    """The command with a disk of its own at `folder`, so large (512K, 4M) and no larger."""
    return ["unshare", "-rm", "sh", "-c", _MOUNTED, "sh", size, str(folder), *command]


class Disk:
    """The small disk of a process that runs, seen from outside."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.folder = Path(f"/proc/{pid}/root{folder}")

    def fill(self) -> None:
        with (self.folder / FILL).open("ab", buffering=0) as stream, suppress(OSError):
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while stream.write(b"\0" * size):
                        pass

    def make_room(self) -> None:
        (self.folder / FILL).unlink()


class Holding:
    """Another process that has the database's write lock, until `let_go` or the end of the block."""

    def __init__(self, database: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout and self._process.stdout.readline() == "held\n"

    def let_go(self) -> None:
        with suppress(BrokenPipeError, ValueError):
            self._process.communicate("\n", timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.let_go()


def intact(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def rows(database: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


# ---------------------------------------------------------------- processes


class Process:
    """One that runs, by /proc."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def command(self) -> list[str]:
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []

    @property
    def folder(self) -> str:
        try:
            return str(Path(f"/proc/{self.pid}/cwd").readlink())
        except OSError:
            return ""

    @property
    def alive(self) -> bool:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> bool:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def running(wanted: Callable[[Process], bool]) -> list[Process]:
    everything = (Process(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
    return [process for process in everything if process.alive and wanted(process)]


def workers(home: Path) -> Callable[[Process], bool]:
    """Simulators that belong to this home, and whatever works in a scratch folder of ours below `home`'s parent."""

    def wanted(process: Process) -> bool:
        words = process.command
        return bool(words) and ((words[0].startswith(str(home)) and "job" in words[1:2]) or process.folder == str(home))

    return wanted


def until(holds: Callable[[], object], patience_s: float = 60.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    """It hangs within the block, as one whose disk does not answer would."""
    process.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        process.kill(signal.SIGCONT)
