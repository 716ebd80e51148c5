"""Which earlier instructions an instruction has to wait for: those that touched the same part of a memory."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

from .machine import PARTITIONS, Box, Instruction

Entries = dict[tuple[int, ...], list[tuple[Box, int]]]
BLOCKS = 64  # into which a dimension is cut: boxes that share no block are never compared
MOST_BLOCKS = 128  # beyond which a box is kept in one list for all
EVERYWHERE = ()


def overlaps(a: Box, b: Box) -> bool:
    return all(low < high2 and low2 < high for (low, high), (low2, high2) in zip(a, b, strict=True))


def covers(outer: Box, inner: Box) -> bool:
    return all(low <= low2 and high2 <= high for (low, high), (low2, high2) in zip(outer, inner, strict=True))


class Hazards:
    """Reads and writes of one memory so far, by instruction number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sizes = [max(1, -(-extent // BLOCKS)) for extent in shape]
        if self._sizes and shape[0] <= PARTITIONS:
            self._sizes[0] = PARTITIONS
        self._writers: Entries = defaultdict(list)
        self._readers: Entries = defaultdict(list)

    def before_read(self, box: Box) -> Iterator[int]:
        return self._touching(self._writers, box)

    def before_write(self, box: Box) -> Iterator[int]:
        """Writers first."""
        yield from self._touching(self._writers, box)
        yield from self._touching(self._readers, box)

    def read(self, box: Box, number: int) -> None:
        for block in self._blocks(box):
            self._readers[block].append((box, number))

    def wrote(self, box: Box, number: int) -> None:
        """What this write covers need not be waited for again: who waits for this one waited for those."""
        blocks = self._blocks(box)
        for entries in (self._writers, self._readers):
            for block in list(entries) if blocks == [EVERYWHERE] else blocks:
                if block in entries:
                    entries[block] = [entry for entry in entries[block] if not covers(box, entry[0])]
        for block in blocks:
            self._writers[block].append((box, number))

    def _blocks(self, box: Box) -> list[tuple[int, ...]]:
        ranges = [range(low // size, (high - 1) // size + 1) for (low, high), size in zip(box, self._sizes, strict=True)]
        if math.prod(len(each) for each in ranges) > MOST_BLOCKS:
            return [EVERYWHERE]
        return list(itertools.product(*ranges))

    def _touching(self, entries: Entries, box: Box) -> Iterator[int]:
        blocks = self._blocks(box)
        for block in list(entries) if blocks == [EVERYWHERE] else [EVERYWHERE, *blocks]:
            for other, number in entries.get(block, ()):
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
