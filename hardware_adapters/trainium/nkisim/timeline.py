"""A schedule as Chrome trace events, for Perfetto, in real time: a ns of the kernel is a ns of the trace.

Slices of one track nest or follow each other, as the format wants it: transfers, of which many are under way at once,
take as many tracks as that needs. What of the memories on chip is in use comes as counters.
"""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any

from .activity import over_time, queue_of
from .machine import Instruction, Machine
from .schedule import ENGINES, Schedule, Slot

QUEUES = ("load", "store")
MAX_EVENTS = 200_000
NS_PER_US = 1000


def write_timeline(schedule: Schedule, machine: Machine, path: Path) -> None:
    """Of a kernel with more than MAX_EVENTS instructions the first ones, and a mark that says so."""
    title = f"{schedule.spec.title}, estimated"
    events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": title}}]
    slices, left = [], len(machine.log) - MAX_EVENTS
    lanes = _Lanes()
    for instruction, slot in zip(machine.log[:MAX_EVENTS], schedule.slots, strict=False):
        slices.append(_slice(instruction, slot, lanes.track(queue_of(instruction, machine), slot)))
    # From 1: to Perfetto a thread 0 is the process's main thread, whatever its name.
    numbers = {track: number for number, track in enumerate(lanes.names(), 1)}
    for track, number in numbers.items():
        events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": track}})
        sorting = {"sort_index": number}
        events.append({"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": number, "args": sorting})
    for each in sorted(slices, key=lambda each: each["ts"]):
        events.append(each | {"tid": numbers[each["tid"]]})
    if left > 0:
        at = max(slot.end for slot in schedule.slots[:MAX_EVENTS])
        said = f"{left} later instructions left out"
        events.append({"ph": "i", "name": said, "pid": 1, "tid": 1, "ts": _us(at), "s": "p"})
    found = over_time(schedule, machine)
    for memory, live in found["bytes"].items():
        name = f"{memory.upper()} bytes of each partition"
        for number, amount in enumerate(live):
            at = _us(number * found["interval_ns"])
            events.append({"ph": "C", "name": name, "pid": 1, "ts": at, "args": {"bytes": amount}})
    path.write_text(json.dumps(events))


class _Lanes:
    """Tracks: one for each engine, and for each queue as many as it has transfers under way."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._free: dict[str, list[tuple[float, int]]] = {}

    def track(self, queue: str, slot: Slot) -> str:
        free = self._free.setdefault(queue, [])
        if free and free[0][0] <= slot.start:
            number = heapq.heappop(free)[1]
        else:
            number = self._used[queue] = self._used.get(queue, 0) + 1
        heapq.heappush(free, (slot.end, number))
        return _name(queue, number)

    def names(self) -> list[str]:
        return [
            _name(queue, number) for queue in (*ENGINES, *QUEUES) for number in range(1, self._used.get(queue, 0) + 1)
        ]


def _name(queue: str, number: int) -> str:
    return queue if number == 1 else f"{queue} {number}"


def _slice(instruction: Instruction, slot: Slot, track: str) -> dict[str, Any]:
    arguments = {"line": instruction.line, "shape": list(instruction.shape), "dtype": instruction.dtype}
    if instruction.bytes:
        arguments["bytes"] = instruction.bytes
    if slot.cause:
        arguments |= {"waited_for": slot.cause.removeprefix("wait_"), "waited_ns": round(slot.waited)}
    start = _us(slot.start)
    return {
        "ph": "X", "name": instruction.name, "pid": 1, "tid": track, "ts": start,
        "dur": round(_us(slot.end) - start, 4), "args": arguments,
    }  # fmt: skip


def _us(ns: float) -> float:
    return round(ns / NS_PER_US, 4)
