"""Whether a process failed because of what it was given or because of this machine, as its status and words tell it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from .errors import EngineFailure
from .process import Finished, Limits
from .results import Diagnostic

_NO_ROOM = re.compile(r"no space left|nospaceleft|disk quota", re.IGNORECASE)
# Drivers that run the compiler proper as a process of its own tell how that one ended.
_KILLED = re.compile(r"\bSIGKILL\b|Killed signal|signal 9\b|Resource temporarily unavailable", re.IGNORECASE)


def check_process(what: str, finished: Finished, wall_s: float | None = None) -> None:
    """Raises EngineFailure when `what` was killed from outside or, with its wall limit, when it hung: no doing of what
    it was given. Without the limit what waits for something else than the processor is not told from what hangs."""
    if wall_s is not None and finished.hung(wall_s):
        raise EngineFailure(f"{what} hung: it hardly ran in {wall_s:.0f} s")
    if finished.killed:
        raise _killed(what)


def _killed(what: str) -> EngineFailure:
    return EngineFailure(f"{what} was killed from outside, perhaps because memory ran out")


def check_host(
    what: str, finished: Finished, said: Sequence[Diagnostic], source_name: str, folder: Path, limits: Limits
) -> None:
    """Raises EngineFailure when `what` failed for a reason of this machine: it was killed, it was kept from running, or
    the disk is full.

    `said`: what it found wrong with the source, which then was its reason. What a source may quote is not believed:
    lines about it are left out, and a full disk is looked at.
    """
    if finished.timed_out:
        return check_process(what, finished, limits.wall_s)
    if finished.returncode == 0:
        return
    if _NO_ROOM.search(finished.stdout + finished.stderr) and _full(folder, limits):  # said of a line of the source too
        raise EngineFailure(f"{what} found no room on the disk of {folder.parent}")
    if any(entry.severity == "error" for entry in said):
        return
    check_process(what, finished)
    words = "\n".join(line for line in (finished.stdout + finished.stderr).splitlines() if source_name not in line)
    if _KILLED.search(words):
        raise _killed(f"a process of {what}")


def _full(folder: Path, limits: Limits) -> bool:
    """Without room for the largest output that the limits allow it is the disk that is full; with room, the output was
    too large."""
    return shutil.disk_usage(folder).free < limits.file_bytes
