"""The order in which engines are given their instructions: NKI 1 leaves it to the compiler, which knows dependencies.

List scheduling over a window of the program: each engine takes the first instruction that can start when it is free.
A tile takes its room with the first instruction that touches it; where what lives at once would not fit, an
instruction waits for earlier ones.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

from ..hazards import Hazards
from ..machine import Instruction, Machine
from ..spec import Spec
from ..tensor import ON_CHIP

WINDOWS = (256, 64, 16)  # instructions ahead of the oldest that has not been given to its engine


def reorder(machine: Machine, spec: Spec) -> None:
    """Rewrites the log in the new order. One that would not fit its memories stays as it is."""
    for window in WINDOWS:
        order = _Lists(machine, spec, window).run()
        if order is not None:
            machine.log[:] = [machine.log[number] for number in order]
            return


class _Hazards(dict[int, Hazards]):
    """Of each memory, made when it is first touched."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __missing__(self, storage: int) -> Hazards:
        on_chip = self._machine.allocations[storage].space in ON_CHIP
        self[storage] = Hazards(self._machine.extents[storage], on_chip)
        return self[storage]


class _Lists:
    def __init__(self, machine: Machine, spec: Spec, window: int) -> None:
        self._window = window
        self._log, self._spec, self._allocations = machine.log, spec, machine.allocations
        self._room = {"sbuf": spec.sbuf_bytes, "psum": spec.psum_bytes}
        self._users: dict[int, int] = defaultdict(int)
        self._live: set[int] = set()
        self._free: dict[str, float] = defaultdict(float)
        self._end = [0.0] * len(self._log)
        self._ready = [0.0] * len(self._log)
        self._before = [0] * len(self._log)
        self._after: list[list[int]] = [[] for _ in self._log]
        hazards = _Hazards(machine)
        for number, entry in enumerate(self._log):
            earlier: set[int] = set()
            for access in entry.reads:
                earlier.update(hazards[access.storage].before_read(access.box))
            for access in entry.writes:
                earlier.update(hazards[access.storage].before_write(access.box))
            for access in entry.reads:
                hazards[access.storage].read(access.box, number)
            for access in entry.writes:
                hazards[access.storage].wrote(access.box, number)
            earlier.discard(number)
            self._before[number] = len(earlier)
            for one in earlier:
                self._after[one].append(number)
            for storage in self._touched(entry):
                self._users[storage] += 1

    def _touched(self, entry: Instruction) -> set[int]:
        return {
            access.storage
            for access in (*entry.reads, *entry.writes)
            if self._allocations[access.storage].space in self._room
        }

    def run(self) -> list[int] | None:
        order: list[int] = []
        done = [False] * len(self._log)
        oldest = newest = 0
        waiting: dict[str, list[int]] = defaultdict(list)  # by queue: free of dependencies, in program order
        while len(order) < len(self._log):
            while newest < len(self._log) and newest < oldest + self._window:
                if not self._before[newest]:
                    heapq.heappush(waiting[self._queue(newest)], newest)
                newest += 1
            number = self._next(waiting)
            if number is None:
                return None
            queue = self._queue(number)
            waiting[queue].remove(number)
            heapq.heapify(waiting[queue])
            self._take(number, queue)
            order.append(number)
            done[number] = True
            for later in self._after[number]:
                self._before[later] -= 1
                self._ready[later] = max(self._ready[later], self._result(number, later))
                if not self._before[later] and later < newest:
                    heapq.heappush(waiting[self._queue(later)], later)
            while oldest < len(done) and done[oldest]:
                oldest += 1
        return order

    def _next(self, waiting: dict[str, list[int]]) -> int | None:
        """The one that starts first among each queue's first that fits; None where the rest of the room is taken."""
        best: tuple[float, int] | None = None
        for queue, numbers in waiting.items():
            found: tuple[float, int] | None = None
            for number in sorted(numbers):
                if not self._fits(number):
                    continue
                start = max(self._free[queue], self._ready[number])
                if found is None or start < found[0]:
                    found = (start, number)
                if start <= self._free[queue]:
                    break
            if found is not None and (best is None or found < best):
                best = found
        return None if best is None else best[1]

    def _fits(self, number: int) -> bool:
        needed = dict.fromkeys(self._room, 0)
        for storage in self._touched(self._log[number]) - self._live:
            allocation = self._allocations[storage]
            needed[allocation.space] += allocation.bytes
        return all(needed[space] <= self._room[space] for space in needed)

    def _take(self, number: int, queue: str) -> None:
        entry = self._log[number]
        for storage in self._touched(entry):
            allocation = self._allocations[storage]
            if storage not in self._live:
                self._live.add(storage)
                self._room[allocation.space] -= allocation.bytes
            self._users[storage] -= 1
            if not self._users[storage]:
                self._room[allocation.space] += allocation.bytes
        start = max(self._free[queue], self._ready[number])
        if entry.engine == "dma":
            self._free[queue] = start + entry.bytes / self._spec.dma_rate
            self._end[number] = self._free[queue] + self._spec.dma_latency_ns
        else:
            self._end[number] = self._free[queue] = start + entry.cycles / self._spec.clocks_ghz[entry.engine]

    def _result(self, number: int, later: int) -> float:
        producer, consumer = self._log[number], self._log[later]
        if producer.engine == "dma" or (producer.engine == "pe" and consumer.accumulates):
            return self._end[number]
        same = producer.engine == consumer.engine
        cycles = self._spec.access_cycles if same else self._spec.result_latency_cycles
        return self._end[number] + cycles / self._spec.clocks_ghz[producer.engine]

    def _queue(self, number: int) -> str:
        entry = self._log[number]
        if entry.engine != "dma":
            return entry.engine
        return "load" if self._allocations[entry.writes[0].storage].space == "sbuf" else "store"
