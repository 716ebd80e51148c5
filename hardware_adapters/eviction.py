"""The limit on what a home keeps for speed and to be looked up: compiled kernels, kernel texts, logs, evaluations.

All of it can be made again, or belongs to kernels that nobody asked for in a long time. Runs are not among it: whatever
a search found is in the journal, which is the user's.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .store import EvaluationCache, Home

log = logging.getLogger(__name__)

LIMIT_VARIABLE = "AUTOCOMP_CACHE_LIMIT"
DEFAULT_LIMIT_BYTES = 2 << 30
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LOOK_EVERY_S = 300.0
DOWN_TO = 0.8  # of the limit, so that not every new kernel means another round
IN_USE_S = 3600.0  # what was used within it may be in use right now, by another process too
EVALUATIONS_SHARE = 0.25
EVALUATION_BYTES = 8 << 10  # more than one takes in the database

_looked: dict[Path, float] = {}


class Tidied(NamedTuple):
    files: int
    bytes: int
    evaluations: int


def cache_limit() -> int:
    """Bytes: $AUTOCOMP_CACHE_LIMIT (a number, or one with K, M, G or T), else 2 GiB."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return DEFAULT_LIMIT_BYTES
    found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)(?:i?B)?", text, re.IGNORECASE | re.ASCII)
    if found is None:
        log.warning("%s=%r is no size (e.g. 500M, 2G): the default of 2G holds", LIMIT_VARIABLE, text)
        return DEFAULT_LIMIT_BYTES
    return int(found[1]) * UNITS[found[2].upper()]


def tidy_now_and_then(home: Home, now: Callable[[], float] = time.monotonic) -> None:
    """`tidy`, if this process has not done it for a while. Never raises: what cannot be tidied is used as it is."""
    last = _looked.get(home.path)
    if last is not None and now() - last < LOOK_EVERY_S:
        return
    _looked[home.path] = now()
    with suppress(OSError, sqlite3.Error):
        tidy(home, cache_limit())


def tidy(home: Home, limit_bytes: int, *, now: float | None = None) -> Tidied:
    """Remove what was not used for the longest until the artefacts take no more than DOWN_TO of the limit, if they
    take more than it; and the oldest evaluations beyond their share. One process at a time; others leave it to that
    one. Raises OSError, sqlite3.Error."""
    descriptor = os.open(home.cache / "tidy.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files, size = _tidy_artifacts(home, limit_bytes, time.time() if now is None else now)
        share = int(EVALUATIONS_SHARE * limit_bytes / EVALUATION_BYTES)
        return Tidied(files, size, EvaluationCache(home).keep_newest(share))
    except BlockingIOError:
        return Tidied(0, 0, 0)
    finally:
        os.close(descriptor)


class _Kept(NamedTuple):
    used: float
    size: int
    path: Path


def _tidy_artifacts(home: Home, limit_bytes: int, now: float) -> tuple[int, int]:
    """Number and bytes of the files that were removed."""
    kept = sorted(_artifacts(home))
    total = sum(entry.size for entry in kept)
    if total <= limit_bytes:
        return 0, 0
    files = size = 0
    for entry in kept:
        if total - size <= DOWN_TO * limit_bytes or now - entry.used < IN_USE_S:
            break
        with suppress(FileNotFoundError):
            entry.path.unlink()
            files, size = files + 1, size + entry.size
    log.info("removed %d artefacts of %d bytes: %s", files, size, home.artifacts)
    return files, size


def _artifacts(home: Home) -> Iterator[_Kept]:
    for folder in home.artifacts.iterdir():
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries, suppress(FileNotFoundError):  # others may remove files beside us
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                yield _Kept(status.st_mtime, status.st_blocks * 512, Path(entry.path))
