"""Counts of the memory accesses of the programs that ran, by source line.

Triton's compiler arranges the elements of a block over threads so that neighbouring addresses go to neighbouring
threads, and gives each up to 16 bytes at once. Counted is what that leads to at best: elements in the order of their
addresses, the widest pieces that these allow, 32 threads a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SECTOR_BYTES = 32
WARP = 32
WIDEST_BYTES = 16


class Counter:
    """Of one launch."""

    def __init__(self, threads: int, operands: Sequence[tuple[int, int]]) -> None:
        """`operands`: where inputs and outputs begin and end."""
        self._threads, self._operands = threads, operands
        self._operand_sectors = 0
        self._sites: dict[tuple[int, str, int], list[int]] = {}
        self._block: dict[str, list[np.ndarray]] = {"load": [], "store": []}
        self._all: dict[str, list[np.ndarray]] = {"load": [], "store": []}
        self._sum = {"load": 0, "store": 0}
        self.dot_flops = 0
        self.barriers = 0
        self._idle = 0  # programs that stored nothing
        self._stored: list[int] = []  # sectors, of each program

    def access(self, line: int, op: str, addresses: np.ndarray, size: int) -> None:
        """`addresses`: of the elements that the mask lets through."""
        if not addresses.size:
            return
        ordered = np.unique(addresses)
        width = self._width(ordered, addresses.size, size)
        pieces = np.unique(ordered // width)
        requests = -(-pieces.size // WARP)
        sectors = ideal = 0
        for first in range(0, pieces.size, WARP):
            part = pieces[first : first + WARP] * width
            sectors += np.unique(part // SECTOR_BYTES).size
            ideal += -(-part.size * width // SECTOR_BYTES)
        site = self._sites.setdefault((line, op, width), [0, 0, 0, 0])
        for index, amount in enumerate((requests, sectors, ideal, pieces.size)):
            site[index] += amount
        kind = "load" if op == "load" else "store"
        self._block[kind].append(np.unique(ordered // SECTOR_BYTES))

    def _width(self, ordered: np.ndarray, count: int, size: int) -> int:
        """Bytes that a thread takes at once."""
        width = size
        while width < WIDEST_BYTES and 2 * width // size <= max(1, count // self._threads):
            wider = 2 * width
            starts = ordered[ordered % wider == 0]
            if starts.size * (wider // size) != ordered.size or not np.isin(starts + wider - size, ordered).all():
                break
            width = wider
        return width

    def program_done(self) -> None:
        self._idle += not self._block["store"]
        before = self._sum["store"]
        for kind, parts in self._block.items():
            if parts:
                different = np.unique(np.concatenate(parts))
                self._sum[kind] += different.size
                for start, end in self._operands:
                    first, last = np.searchsorted(different, (start // SECTOR_BYTES, -(-end // SECTOR_BYTES)))
                    self._operand_sectors += int(last - first)
                self._all[kind].append(different)
            self._block[kind] = []
        self._stored.append(self._sum["store"] - before)

    def report(self) -> dict[str, Any]:
        unique = {kind: np.unique(np.concatenate(parts)).size if parts else 0 for kind, parts in self._all.items()}
        return {
            "sites": [[*key, *counts] for key, counts in self._sites.items()],
            "block_sectors": [self._sum["load"], self._sum["store"]],
            "unique_sectors": [int(unique["load"]), int(unique["store"])],
            "operand_sectors": self._operand_sectors,
            "dot_flops": self.dot_flops,
            "barriers": self.barriers,
            "idle": self._idle,
            "stored_differences": float((np.diff(np.array(self._stored, float)) ** 2).sum()),
        }
