"""Tiles that do not fit: NKI 1 leaves placing to the compiler, which moves some to HBM and back when it needs the room.

The tile whose next use is farthest away goes first. What comes back takes a place of its own.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

from ..machine import PARTITIONS, Access, Allocation, Box, Instruction, Machine
from ..spec import Spec


def spill(machine: Machine, spec: Spec) -> int:
    """Rewrites the log so that what lives at once fits; the bytes moved. A log that fits stays as it is."""
    limits = {"sbuf": spec.sbuf_bytes, "psum": spec.psum_bytes}
    uses: dict[int, list[int]] = defaultdict(list)
    for number, entry in enumerate(machine.log):
        for storage in _touched(entry):
            if machine.allocations[storage].space in limits and (not uses[storage] or uses[storage][-1] != number):
                uses[storage].append(number)
    if all(_peak(machine, uses, space) <= limit for space, limit in limits.items()):
        return 0
    return _Spiller(machine, uses, limits).run()


def _touched(entry: Instruction) -> list[int]:
    return [access.storage for access in (*entry.reads, *entry.writes)]


def _peak(machine: Machine, uses: dict[int, list[int]], space: str) -> int:
    changes: dict[int, int] = defaultdict(int)
    for storage, numbers in uses.items():
        if machine.allocations[storage].space == space:
            changes[numbers[0]] += machine.allocations[storage].bytes
            changes[numbers[-1] + 1] -= machine.allocations[storage].bytes
    used = peak = 0
    for number in sorted(changes):
        used += changes[number]
        peak = max(peak, used)
    return peak


class _Spiller:
    def __init__(self, machine: Machine, uses: dict[int, list[int]], limits: dict[str, int]) -> None:
        self._machine, self._uses, self._limits = machine, uses, limits
        self._log: list[Instruction] = []
        self._at: dict[int, int] = {}  # tile -> the storage that holds it now
        self._home: dict[int, int] = {}  # tile -> its copy in HBM
        self._dirty: set[int] = set()
        self._used = dict.fromkeys(limits, 0)
        self._cursor: dict[int, int] = dict.fromkeys(uses, 0)
        self._far: dict[str, list[tuple[int, int]]] = {space: [] for space in limits}  # (-next use, tile)
        self._moved = 0
        self._whole: dict[int, Box] = {}  # what of each tile is touched
        for entry in machine.log:
            for access in (*entry.reads, *entry.writes):
                if access.storage in uses:
                    self._whole[access.storage] = _union(self._whole.get(access.storage, access.box), access.box)

    def run(self) -> int:
        for number, entry in enumerate(self._machine.log):
            busy = {s for s in _touched(entry) if s in self._uses}
            written = {access.storage for access in entry.writes}
            for tile in sorted(busy):
                if tile not in self._at:
                    self._enter(tile, busy, entry)
            self._log.append(self._renamed(entry))
            self._dirty |= written & busy
            for tile in busy:
                self._used_at(tile, number)
        self._machine.log[:] = self._log
        return self._moved

    def _renamed(self, entry: Instruction) -> Instruction:
        def now(accesses: tuple[Access, ...]) -> tuple[Access, ...]:
            return tuple(Access(self._at.get(a.storage, a.storage), a.box) for a in accesses)

        return entry._replace(reads=now(entry.reads), writes=now(entry.writes))

    def _enter(self, tile: int, busy: set[int], entry: Instruction) -> None:
        allocation = self._machine.allocations[tile]
        space = allocation.space
        while self._used[space] + allocation.bytes > self._limits[space]:
            if not self._evict(space, busy, entry):
                break
        self._used[space] += allocation.bytes
        if tile in self._home:
            self._at[tile] = self._allocate(tile, allocation)
            self._transfer("spill_load", tile, self._home[tile], self._at[tile], entry)
        else:
            self._at[tile] = tile

    def _evict(self, space: str, busy: set[int], entry: Instruction) -> bool:
        kept = []
        found = None
        while self._far[space]:
            when, tile = heapq.heappop(self._far[space])
            current = self._next(tile)
            if tile not in self._at or current is None or -when != current:
                continue
            if tile in busy:
                kept.append((when, tile))
                continue
            found = tile
            break
        for each in kept:
            heapq.heappush(self._far[space], each)
        if found is None:
            return False
        allocation = self._machine.allocations[found]
        if found in self._dirty or found not in self._home:
            self._home[found] = self._allocate(
                found, Allocation("spill", "private_hbm", allocation.bytes * PARTITIONS, allocation.line)
            )
            self._transfer("spill_store", found, self._at[found], self._home[found], entry)
            self._dirty.discard(found)
        del self._at[found]
        self._used[space] -= allocation.bytes
        return True

    def _next(self, tile: int) -> int | None:
        numbers, at = self._uses[tile], self._cursor[tile]
        return numbers[at] if at < len(numbers) else None

    def _used_at(self, tile: int, number: int) -> None:
        while self._cursor[tile] < len(self._uses[tile]) and self._uses[tile][self._cursor[tile]] <= number:
            self._cursor[tile] += 1
        following = self._next(tile)
        space = self._machine.allocations[tile].space
        if following is None:
            if tile in self._at:
                self._used[space] -= self._machine.allocations[tile].bytes
                del self._at[tile]
        else:
            heapq.heappush(self._far[space], (-following, tile))

    def _allocate(self, tile: int, allocation: Allocation) -> int:
        """Another place for a tile."""
        self._machine.allocations.append(allocation)
        self._machine.extents.append(self._machine.extents[tile])
        return len(self._machine.allocations) - 1

    def _transfer(self, name: str, tile: int, source: int, target: int, entry: Instruction) -> None:
        """Whole tiles: of each partition one contiguous piece. PSUM is reached by way of SBUF, which costs no more."""
        whole, size = self._whole[tile], self._machine.allocations[tile].bytes
        self._log.append(
            Instruction(
                name, "dma", entry.line, 0, (Access(source, whole),), (Access(target, whole),),
                (PARTITIONS, size), "uint8", bytes=size * PARTITIONS, run=size,
            )
        )  # fmt: skip
        self._moved += size * PARTITIONS


def _union(a: Box, b: Box) -> Box:
    return tuple((min(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True))
