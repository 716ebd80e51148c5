"""Whether a compiler failed because of its input or because of this machine, as its status and its words tell it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from .base import Diagnostic, EngineFailure
from .process import Finished, Limits

_NO_ROOM = re.compile(r"no space left|nospaceleft|disk quota", re.IGNORECASE)
# Drivers that run the compiler proper as a process of its own tell how that one ended.
_KILLED = re.compile(r"\bSIGKILL\b|Killed signal|signal 9\b|Resource temporarily unavailable", re.IGNORECASE)


def check_host(
    what: str, finished: Finished, said: Sequence[Diagnostic], source_name: str, folder: Path, limits: Limits
) -> None:
    """Raises EngineFailure when `what` failed for a reason of this machine: it was killed, it was kept from running, or
    the disk is full.

    `said`: what it found wrong with the source, which then was its reason. What a source may quote is not believed:
    lines about it are left out, and a full disk is looked at.
    """
    if finished.hung(limits.wall_s):
        raise EngineFailure(f"{what} hung: it hardly ran in {limits.wall_s:.0f} s")
    if finished.returncode == 0 or finished.timed_out:
        return
    if _NO_ROOM.search(finished.stdout + finished.stderr) and _full(folder, limits):  # said of a line of the source too
        raise EngineFailure(f"{what} found no room on the disk of {folder.parent}")
    if any(entry.severity == "error" for entry in said):
        return
    if finished.killed:
        raise EngineFailure(f"{what} was killed from outside, perhaps because memory ran out")
    words = "\n".join(line for line in (finished.stdout + finished.stderr).splitlines() if source_name not in line)
    if _KILLED.search(words):
        raise EngineFailure(f"a process of {what} was killed from outside, perhaps because memory ran out")


def _full(folder: Path, limits: Limits) -> bool:
    """Without room for the largest output that the limits allow it is the disk that is full; with room, the output was
    too large."""
    return shutil.disk_usage(folder).free < limits.file_bytes
