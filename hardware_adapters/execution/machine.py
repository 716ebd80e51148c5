"""What this machine has for evaluations: processors and memory, within what a container or a user's slice may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")
# What version 1 reports for a group without a limit is near the largest page-aligned 64-bit number.
NO_LIMIT = 1 << 60


def processors(root: Path = ROOT) -> int:
    """Those that this process may keep busy: its affinity, and the quota of its control groups; at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        count = os.cpu_count() or 1
    quotas = [quota for folder in _groups(root, "cpu") if (quota := _quota(folder)) is not None]
    return max(1, min([count, *(int(quota) for quota in quotas)]))


def available_bytes(root: Path = ROOT) -> int | None:
    """Memory that can still be had without anybody being pushed to disk or killed: of the machine, and within the
    limit of every control group that this process is in. None where the system does not say."""
    found = [value for value in (_of_machine(root), *map(_of_group, _groups(root, "memory"))) if value is not None]
    return max(0, min(found)) if found else None


def _of_machine(root: Path) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return None


def _of_group(folder: Path) -> int | None:
    """What the group's limit leaves; its file cache counts as free as far as the kernel would give it up first."""
    for limit_file, used_file, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _number(folder / limit_file), _number(folder / used_file)
        if limit is not None and used is not None and limit < NO_LIMIT:
            found = dict(line.split(maxsplit=1) for line in _lines(folder / "memory.stat"))
            return limit - used + int(found.get(cache, 0))
    return None


def _quota(folder: Path) -> float | None:
    """Processors that the group may use; None: as many as there are."""
    words = " ".join(_lines(folder / "cpu.max")).split()
    if not words:
        words = [f"{_number(folder / name)}" for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    with suppress(ValueError):
        quota, period = map(int, words)
        return quota / period if quota > 0 and period > 0 else None
    return None


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups of this process for this controller, from its own upwards, of either version."""
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        mounts = [controller] if names and controller in names.split(",") else ["", "unified"] if not names else []
        for mount in mounts:
            top = root / "sys/fs/cgroup" / mount
            # In a container the path may be the host's, which is not there: then the top is the container's own.
            folder = top / path.lstrip("/")
            while folder != top and top in folder.parents:
                yield folder
                folder = folder.parent
            yield top


def _number(file: Path) -> int | None:
    with suppress(ValueError, IndexError):
        return int(_lines(file)[0])
    return None


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text().splitlines() if line.strip()]
    except OSError:
        return []
