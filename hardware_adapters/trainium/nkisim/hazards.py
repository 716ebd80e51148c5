"""Which earlier instructions an instruction has to wait for: those that touched the same part of a memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from .machine import Box, Instruction

ROWS = 128  # of the first dimension that share a list: tiles far apart are never compared
Entries = dict[int, list[tuple[Box, int]]]


def overlaps(a: Box, b: Box) -> bool:
    return all(low < high2 and low2 < high for (low, high), (low2, high2) in zip(a, b, strict=True))


def covers(outer: Box, inner: Box) -> bool:
    return all(low <= low2 and high2 <= high for (low, high), (low2, high2) in zip(outer, inner, strict=True))


class Hazards:
    """Reads and writes of one memory so far, by instruction number."""

    def __init__(self) -> None:
        self._writers: Entries = defaultdict(list)
        self._readers: Entries = defaultdict(list)

    def before_read(self, box: Box) -> Iterator[int]:
        return _touching(self._writers, box)

    def before_write(self, box: Box) -> Iterator[int]:
        """Writers first."""
        yield from _touching(self._writers, box)
        yield from _touching(self._readers, box)

    def read(self, box: Box, number: int) -> None:
        for row in _rows(box):
            self._readers[row].append((box, number))

    def wrote(self, box: Box, number: int) -> None:
        """What this write covers need not be waited for again: who waits for this one waited for those."""
        for row in _rows(box):
            for entries in (self._writers, self._readers):
                if row in entries:
                    entries[row] = [entry for entry in entries[row] if not covers(box, entry[0])]
            self._writers[row].append((box, number))


def _rows(box: Box) -> range:
    if not box:
        return range(1)
    return range(box[0][0] // ROWS, (box[0][1] - 1) // ROWS + 1)


def _touching(entries: Entries, box: Box) -> Iterator[int]:
    for row in _rows(box):
        for other, number in entries.get(row, ()):
            if overlaps(box, other):
                yield number


def lifetimes(log: list[Instruction]) -> tuple[dict[int, int], dict[int, int]]:
    """First and last instruction that touches each memory."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, instruction in enumerate(log):
        for access in (*instruction.reads, *instruction.writes):
            first.setdefault(access.storage, number)
            last[access.storage] = number
    return first, last
