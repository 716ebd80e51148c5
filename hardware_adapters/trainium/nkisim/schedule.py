"""When each logged instruction runs: engines in program order beside each other, DMA queues, memory that fills up.

A tile takes its place on chip with its first use and leaves it with its last, as a compiler would place it; several
iterations of a loop overlap as far as there is room. All times are ns.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import Any, NamedTuple

from .hazards import Hazards, lifetimes
from .machine import Instruction, KernelLimit, Machine
from .spec import Spec

ENGINES = ("pe", "vector", "scalar", "gpsimd")
BUCKET_NS = 250.0


class Slot(NamedTuple):
    """`waited` ns after the engine was free, because of `cause`; `after` is the instruction it waited for."""

    start: float
    end: float
    waited: float
    cause: str
    after: int | None


class Wires:
    """The DMA engines together: a rate that transfers share. Time is cut into buckets that fill up."""

    def __init__(self, rate: float) -> None:
        self._capacity = rate * BUCKET_NS
        self._used: dict[int, float] = {}
        self._next: dict[int, int] = {}  # of a full bucket: one after it that may have room

    def take(self, ready: float, amount: float) -> float:
        """When `amount` bytes that can start at `ready` are through."""
        first = int(ready // BUCKET_NS)
        bucket, left = self._free(first), amount
        if bucket == first:  # what of it lies before `ready` is lost
            before = (ready / BUCKET_NS - first) * self._capacity
            self._used[first] = max(self._used.get(first, 0.0), before)
        while True:
            used = self._used.get(bucket, 0.0)
            if left <= self._capacity - used:
                self._used[bucket] = used + left
                return (bucket + (used + left) / self._capacity) * BUCKET_NS
            left -= self._capacity - used
            self._next[bucket] = bucket + 1
            bucket = self._free(bucket + 1)

    def _free(self, bucket: int) -> int:
        path = []
        while bucket in self._next:
            path.append(bucket)
            bucket = self._next[bucket]
        for passed in path:
            self._next[passed] = bucket
        return bucket


class Places:
    """Room on chip, per partition. A dead tile's room is free once all that touched it has ended."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._dead: list[tuple[float, int]] = []

    def take(self, size: int) -> float:
        """When there is room for `size` bytes more."""
        at = 0.0
        while self._free < size and self._dead:
            at, freed = heapq.heappop(self._dead)
            self._free += freed
        self._free -= size
        return at

    def leave(self, size: int, at: float) -> None:
        heapq.heappush(self._dead, (at, size))


class Schedule(NamedTuple):
    slots: list[Slot]
    latency_ns: float
    peak: dict[str, int]  # bytes of a partition in use at once, in program order
    spec: Spec

    def summary(self, machine: Machine) -> dict[str, Any]:
        from .summary import summarise

        return summarise(self, machine)


def occupied_bytes(instruction: Instruction, spec: Spec) -> tuple[float, int]:
    """What a DMA takes of the wires, and into how many contiguous pieces it falls."""
    pieces = max(1, instruction.bytes // max(1, instruction.run)) * instruction.sources
    return pieces * (max(instruction.run, spec.dma_run_min_bytes) + spec.dma_run_overhead_bytes), pieces


def schedule(machine: Machine, spec: Spec) -> Schedule:
    """Raises KernelFault where the tiles that live at once do not fit their memory."""
    log = machine.log
    first, last = lifetimes(log)
    peak = _peaks(machine, first, last, spec)
    dying: dict[int, list[int]] = defaultdict(list)
    for storage, number in last.items():
        dying[number].append(storage)
    run = _Run(machine, spec, first)
    for number, instruction in enumerate(log):
        run.place(number, instruction, dying.get(number, ()))
    latency = max((slot.end for slot in run.slots), default=0.0)
    return Schedule(run.slots, latency, peak, spec)


class _Run:
    def __init__(self, machine: Machine, spec: Spec, first: dict[int, int]) -> None:
        self._allocations, self._log, self._spec, self._first = machine.allocations, machine.log, spec, first
        self.slots: list[Slot] = []
        self._free: dict[str, float] = {unit: 0.0 for unit in (*ENGINES, "load", "store")}
        self._hazards: dict[int, Hazards] = {}
        self._extents = machine.extents
        self._wires = Wires(spec.dma_rate)
        self._places = {"sbuf": Places(spec.sbuf_bytes), "psum": Places(spec.psum_bytes)}
        self._until: dict[int, float] = defaultdict(float)  # when the last user of a memory ends
        self._written = {access.storage for entry in machine.log for access in entry.writes}

    def place(self, number: int, instruction: Instruction, dying: Any) -> None:
        queue = self._queue(instruction)
        ready, after, cause = self._ready(number, instruction)
        free = self._free[queue]
        if queue in self._spec.shared_port:
            free = max(self._free[name] for name in self._spec.shared_port)
        start = max(ready, free)
        if instruction.engine == "dma":
            amount, pieces = occupied_bytes(instruction, self._spec)
            rate = self._spec.dma_rate * min(pieces, self._spec.dma_engines) / self._spec.dma_engines
            through = max(self._wires.take(start, amount), start + amount / rate)
            end, self._free[queue] = through + self._spec.dma_latency_ns, start
        else:
            end = start + instruction.cycles / self._spec.clocks_ghz[instruction.engine]
            self._free[queue] = end
        waited = max(0.0, ready - free)
        self.slots.append(Slot(start, end, waited, cause if waited else "", after if waited else None))
        self._leave(number, instruction, end, dying)

    def _of(self, storage: int) -> Hazards:
        if storage not in self._hazards:
            on_chip = self._allocations[storage].space in self._places
            self._hazards[storage] = Hazards(self._extents[storage], on_chip)
        return self._hazards[storage]

    def _ready(self, number: int, instruction: Instruction) -> tuple[float, int | None, str]:
        """When operands and room are there, which instruction is the last to be waited for, and why."""
        best: tuple[float, int | None, str] = (0.0, None, "")
        for access in instruction.reads:
            if access.storage not in self._written:
                continue
            for earlier in self._of(access.storage).before_read(access.box):
                at = self._result(earlier, instruction)
                if at > best[0]:
                    best = (at, earlier, self._cause(earlier))
        for access in instruction.writes:
            for earlier in self._of(access.storage).before_write(access.box):
                at = self.slots[earlier].end
                if at > best[0]:
                    best = (at, earlier, self._cause(earlier))
            if self._first[access.storage] == number:
                allocation = self._allocations[access.storage]
                if allocation.space in self._places:
                    at = self._places[allocation.space].take(allocation.bytes)
                    if at > best[0]:
                        best = (at, None, f"wait_{allocation.space}_space")
        return best

    def _result(self, earlier: int, instruction: Instruction) -> float:
        """When another instruction can read its result. Sums in PSUM follow each other without a pause."""
        producer, end = self._log[earlier], self.slots[earlier].end
        if producer.engine == "dma" or (producer.engine == "pe" and instruction.accumulates):
            return end
        same = producer.engine == instruction.engine
        cycles = self._spec.access_cycles if same else self._spec.result_latency_cycles
        return end + cycles / self._spec.clocks_ghz[producer.engine]

    def _cause(self, earlier: int) -> str:
        producer = self._log[earlier]
        return f"wait_{self._queue(producer)}"

    def _queue(self, instruction: Instruction) -> str:
        if instruction.engine != "dma":
            return instruction.engine
        onto_chip = self._allocations[instruction.writes[0].storage].space == "sbuf"
        return "load" if onto_chip else "store"

    def _leave(self, number: int, instruction: Instruction, end: float, dying: Any) -> None:
        for access in instruction.reads:
            if access.storage in self._written:
                self._of(access.storage).read(access.box, number)
            self._until[access.storage] = max(self._until[access.storage], end)
        for access in instruction.writes:
            self._of(access.storage).wrote(access.box, number)
            self._until[access.storage] = max(self._until[access.storage], end)
        for storage in dying:
            allocation = self._allocations[storage]
            if allocation.space in self._places:
                self._places[allocation.space].leave(allocation.bytes, self._until[storage])
                self._hazards.pop(storage, None)


def _peaks(machine: Machine, first: dict[int, int], last: dict[int, int], spec: Spec) -> dict[str, int]:
    """Most bytes of a partition that live at once. Raises KernelFault beyond the machine's."""
    changes: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for storage, number in first.items():
        changes[number].append((1, storage))
        changes[last[storage] + 1].append((-1, storage))
    used: dict[str, int] = {"sbuf": 0, "psum": 0}
    peak = dict(used)
    limits = {"sbuf": spec.sbuf_bytes, "psum": spec.psum_bytes}
    for number in sorted(changes):
        for sign, storage in sorted(changes[number]):
            allocation = machine.allocations[storage]
            if allocation.space not in used:
                continue
            used[allocation.space] += sign * allocation.bytes
            if used[allocation.space] > limits[allocation.space]:
                raise KernelLimit(allocation.space, used[allocation.space], limits[allocation.space], allocation.line)
            peak[allocation.space] = max(peak[allocation.space], used[allocation.space])
    return peak
