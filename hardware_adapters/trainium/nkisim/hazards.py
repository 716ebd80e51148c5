"""Which earlier instructions an instruction has to wait for: those that touched the same part of a memory."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

from .machine import Box, Instruction

Block = tuple[int, ...]
Entries = dict[Block, list[tuple[Box, int]]]
# Into how many pieces each dimension of a tensor in HBM is cut, finest first; boxes that share no block are never compared.
# A box is kept where it covers few blocks.
CUTS = (64, 8, 1)
FEW, MANY = 8, 64


def overlaps(a: Box, b: Box) -> bool:
    for (low, high), (low2, high2) in zip(a, b, strict=True):
        if low >= high2 or low2 >= high:
            return False
    return True


def covers(outer: Box, inner: Box) -> bool:
    for (low, high), (low2, high2) in zip(outer, inner, strict=True):
        if low > low2 or high2 > high:
            return False
    return True


class Hazards:
    """Reads and writes of one memory so far, by instruction number."""

    def __init__(self, shape: tuple[int, ...], on_chip: bool) -> None:
        cuts = CUTS[-1:] if on_chip else CUTS
        self._levels = [tuple(max(1, -(-extent // cut)) for extent in shape) for cut in cuts]
        self._writers: list[Entries] = [defaultdict(list) for _ in cuts]
        self._readers: list[Entries] = [defaultdict(list) for _ in cuts]

    def before_read(self, box: Box) -> Iterator[int]:
        return self._touching(self._writers, box)

    def before_write(self, box: Box) -> Iterator[int]:
        """Writers first."""
        yield from self._touching(self._writers, box)
        yield from self._touching(self._readers, box)

    def read(self, box: Box, number: int) -> None:
        self._keep(self._readers, box, number)

    def wrote(self, box: Box, number: int) -> None:
        """What this write covers need not be waited for again: who waits for this one waited for those."""
        for kept in (self._writers, self._readers):
            for entries, sizes in zip(kept, self._levels, strict=True):
                for block in _present(entries, sizes, box):
                    entries[block] = [entry for entry in entries[block] if not covers(box, entry[0])]
        self._keep(self._writers, box, number)

    def _keep(self, kept: list[Entries], box: Box, number: int) -> None:
        for entries, sizes in zip(kept, self._levels, strict=True):
            if blocks := _blocks(sizes, box, FEW):
                for block in blocks:
                    entries[block].append((box, number))
                return

    def _touching(self, kept: list[Entries], box: Box) -> Iterator[int]:
        for entries, sizes in zip(kept, self._levels, strict=True):
            for block in _present(entries, sizes, box):
                for other, number in entries[block]:
                    if overlaps(box, other):
                        yield number


def _blocks(sizes: Block, box: Box, most: int) -> list[Block]:
    """Those that a box touches; none when they are more than `most`."""
    ranges = [range(low // size, (high - 1) // size + 1) for (low, high), size in zip(box, sizes, strict=True)]
    return list(itertools.product(*ranges)) if math.prod(map(len, ranges)) <= most else []


def _present(entries: Entries, sizes: Block, box: Box) -> list[Block]:
    if len(entries) <= FEW:
        return list(entries)
    blocks = _blocks(sizes, box, MANY)
    return [block for block in blocks if block in entries] if blocks else list(entries)


def lifetimes(log: list[Instruction]) -> tuple[dict[int, int], dict[int, int]]:
    """First and last instruction that touches each memory."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, instruction in enumerate(log):
        for access in (*instruction.reads, *instruction.writes):
            first.setdefault(access.storage, number)
            last[access.storage] = number
    return first, last
