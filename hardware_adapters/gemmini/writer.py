"""Writing the C of a kernel: lines and blocks, index expressions without zeros, and the GEMM's three dimensions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .schedule import DIM


class Dim(NamedTuple):
    """One of the three loops of the GEMM: its size, its tile, and what of that is known at compile time."""

    name: str
    size: int
    tile: int

    @property
    def looped(self) -> bool:
        return self.size > self.tile

    @property
    def var(self) -> str:
        return self.name if self.looped else "0"

    @property
    def next(self) -> str:
        return f"n{self.name}" if self.looped else "0"

    @property
    def partial(self) -> bool:
        """The last tile is smaller, so that a tile's extent is known only at run time."""
        return self.looped and self.size % self.tile != 0

    @property
    def ragged(self) -> bool:
        return self.size % DIM != 0

    @property
    def extent(self) -> str:
        return f"m{self.name}" if self.partial else str(min(self.size, self.tile))

    @property
    def blocks(self) -> int:
        return -(-min(self.size, self.tile) // DIM)

    @property
    def tiles(self) -> int:
        return -(-self.size // self.tile)


_CONSTANT = re.compile(r"\s*const \w+ (\w+) = [^;]*;")


def without_unused(lines: list[str]) -> list[str]:
    """Functions without the constants that nothing reads; one constant per line."""
    kept = list(lines)
    while True:
        unused = []
        for number, line in enumerate(kept):
            if found := _CONSTANT.fullmatch(line):
                end = next((n for n in range(number + 1, len(kept)) if kept[n] == "}"), len(kept))
                if not any(re.search(rf"\b{found[1]}\b", later) for later in kept[number + 1 : end]):
                    unused.append(number)
        if not unused:
            return kept
        kept = [line for number, line in enumerate(kept) if number not in unused]


class Writer:
    """Collects indented lines of C. Loops with a single iteration are left out, their variable is '0'."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def put(self, text: str) -> None:
        self.lines.extend("  " * self.depth + line for line in text.split("\n"))

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.put(head + " {")
        self.depth += 1
        yield
        self.depth -= 1
        self.put("}")

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Where a block would stand if there were a condition for it."""
        yield

    @contextmanager
    def over_blocks(self, dim: Dim, full: bool, unroll: int = 1, start: int = 0) -> Iterator[str]:
        """A loop over the blocks of a tile in one dimension; yields the block number's name, '0' for a single block."""
        name = f"{dim.name}b"
        if dim.blocks == 1 and not start:
            yield "0"
            return
        if unroll > 1:
            self.put(f"#pragma GCC unroll {min(unroll, dim.blocks)}")
        limit = f"{name} < {dim.blocks}" if full or not dim.partial else f"{name} * {DIM} < {dim.extent}"
        with self.block(f"for (int {name} = {start}; {limit}; {name}++)"):
            yield name

    def in_loops(self, loops: list[tuple[str, int, int]], body: Callable[[dict[str, str]], None]) -> None:
        depth = self.depth
        names: dict[str, str] = {}
        for name, blocks, by in loops:
            names[name] = "0"
            if blocks > by:
                names[name] = name
                step = f"{name}++" if by == 1 else f"{name} += {by}"
                self.put(f"for (int {name} = 0; {name} < {blocks}; {step}) {{")
                self.depth += 1
        mark = len(self.lines)
        opened = self.depth
        body(names)
        if opened == depth and any(line.lstrip().startswith("int ") for line in self.lines[mark:]):
            self.lines[mark:] = ["  " * depth + "{", *["  " + line for line in self.lines[mark:]], "  " * depth + "}"]
        while self.depth > depth:
            self.depth -= 1
            self.put("}")

    @staticmethod
    def times(factor: str, by: int) -> str:
        if factor == "0" or by == 1:
            return factor
        return f"{factor} * {by}"

    @staticmethod
    def total(*terms: str) -> str:
        kept = [t for t in terms if t not in ("0", "0u", "")]
        return " + ".join(kept) if kept else "0"

    def scaled(self, offset: str, blocks: str, by: int) -> str:
        """(offset + 16 * blocks) * by, in elements."""
        inside = self.total(offset, self.times(blocks, DIM) if " " not in blocks else f"({blocks}) * {DIM}")
        if inside == "0" or by == 1:
            return inside
        return f"({inside}) * {by}" if " " in inside else f"{inside} * {by}"

    def block_at(self, base: str, row: str, col: str, row_blocks: int) -> str:
        def part(block: str, by: int) -> str:
            if block == "0":
                return "0"
            return f"({block}) * {by}" if " " in block else f"{block} * {by}"

        return self.total(base, part(row, row_blocks * DIM), part(col, DIM))

    def span(self, dim: Dim, offset: str, block: str, width: int, full: bool = False, current: bool = False) -> str:
        """How many elements from `block` on are there: a constant, or a check against the tile's and the matrix's end.

        `current`: the tile is that of the loops around, whose extent is known as mi, mj, mk."""
        limits = [str(width)]
        inside = f"({block}) * {DIM}" if " " in block else self.times(block, DIM)
        here = self.total(offset, inside)
        extent = min(dim.size, dim.tile)
        if dim.partial and current:
            if not full:
                limits.append(dim.extent if inside == "0" else f"{dim.extent} - {inside}")
        elif (dim.partial and not full) or (dim.ragged and not dim.looped):
            limits.append(f"{dim.size} - {here}" if here == "0" or " " not in here else f"{dim.size} - ({here})")
            if here == "0":
                limits[-1] = str(dim.size)
        if dim.tile % width and width > DIM:
            limits.append(f"{extent} - {inside}" if inside != "0" else str(extent))
        constants = [int(x) for x in limits if x.isdigit()]
        rest = [x for x in limits if not x.isdigit()]
        text = str(min(constants))
        for limit in rest:
            text = f"MIN({text}, {limit})"
        return text
