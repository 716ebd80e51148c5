"""Which earlier instructions an instruction has to wait for: those that touched the same part of a memory."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np

from .machine import Box, Instruction

Block = tuple[int, ...]
# Into how many pieces each dimension of a tensor in HBM is cut, finest first; boxes that share no block are never
# compared. A box is kept where it covers few blocks.
CUTS = (64, 8, 1)
FEW, MANY = 8, 64
MASKED = 1 << 28  # elements


def overlaps(a: Box, b: Box) -> bool:
    for (low, high), (low2, high2) in zip(a, b, strict=True):  # noqa: SIM110 - twice as fast
        if low >= high2 or low2 >= high:
            return False
    return True


def covers(outer: Box, inner: Box) -> bool:
    for (low, high), (low2, high2) in zip(outer, inner, strict=True):  # noqa: SIM110 - twice as fast
        if low > low2 or high2 > high:
            return False
    return True


Item = TypeVar("Item")


class Boxes(Generic[Item]):
    """Parts of one memory, with something about each; found again by what they overlap."""

    def __init__(self, shape: tuple[int, ...], on_chip: bool) -> None:
        cuts = CUTS[-1:] if on_chip else CUTS
        self._levels = [tuple(max(1, -(-extent // cut)) for extent in shape) for cut in cuts]
        self._kept: list[dict[Block, list[tuple[Box, Item]]]] = [defaultdict(list) for _ in cuts]
        # Of a tensor in HBM the elements that any box has touched: most stores go where nothing was before.
        self._mask = None if on_chip or math.prod(shape) > MASKED else np.zeros(shape, np.bool_)

    def _untouched(self, box: Box) -> bool:
        return self._mask is not None and not self._mask[tuple(slice(low, high) for low, high in box)].any()

    def keep(self, box: Box, item: Item) -> None:
        if self._mask is not None:
            self._mask[tuple(slice(low, high) for low, high in box)] = True
        for entries, sizes in zip(self._kept, self._levels, strict=True):
            if blocks := _blocks(sizes, box, FEW):
                for block in blocks:
                    entries[block].append((box, item))
                return

    def drop_covered(self, box: Box) -> None:
        if self._untouched(box):
            return
        for entries, sizes in zip(self._kept, self._levels, strict=True):
            for block in _present(entries, sizes, box):
                entries[block] = [entry for entry in entries[block] if not covers(box, entry[0])]

    def touching(self, box: Box) -> Iterator[Item]:
        """An item may come more than once."""
        if self._untouched(box):
            return
        for entries, sizes in zip(self._kept, self._levels, strict=True):
            for block in _present(entries, sizes, box):
                for other, item in entries[block]:
                    if overlaps(box, other):
                        yield item


class Hazards:
    """Reads and writes of one memory so far, by instruction number."""

    def __init__(self, shape: tuple[int, ...], on_chip: bool) -> None:
        self._writers: Boxes[int] = Boxes(shape, on_chip)
        self._readers: Boxes[int] = Boxes(shape, on_chip)

    def before_read(self, box: Box) -> Iterator[int]:
        return self._writers.touching(box)

    def before_write(self, box: Box) -> Iterator[int]:
        """Writers first."""
        yield from self._writers.touching(box)
        yield from self._readers.touching(box)

    def read(self, box: Box, number: int) -> None:
        self._readers.keep(box, number)

    def wrote(self, box: Box, number: int) -> None:
        """What this write covers need not be waited for again: who waits for this one waited for those."""
        self._writers.drop_covered(box)
        self._readers.drop_covered(box)
        self._writers.keep(box, number)


def _blocks(sizes: Block, box: Box, most: int) -> list[Block]:
    """Those that a box touches; none when they are more than `most`."""
    ranges = [range(low // size, (high - 1) // size + 1) for (low, high), size in zip(box, sizes, strict=True)]
    return list(itertools.product(*ranges)) if math.prod(map(len, ranges)) <= most else []


def _present(entries: Mapping[Block, object], sizes: Block, box: Box) -> list[Block]:
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
