"""A schedule over time, in few numbers: when each engine worked, and how full the memories on chip were."""

from __future__ import annotations

from typing import Any

import numpy as np

from .machine import Instruction, Machine
from .schedule import ENGINES, Schedule

INTERVALS = 64
MEMORIES = ("sbuf", "psum")


def over_time(schedule: Schedule, machine: Machine) -> dict[str, Any]:
    """Intervals in ns; of engines the percent of each in which they worked (of DMA queues, in which a transfer was
    under way), of memories the average bytes of a partition in use. A tile is in use from its first instruction to the
    end of its last, as the schedule has it."""
    width = max(1, -(-round(schedule.latency_ns) // INTERVALS))
    edges = np.arange(-(-max(1.0, schedule.latency_ns) // width) + 1) * float(width)
    edges[-1] = max(schedule.latency_ns, edges[-2] + 1e-9)
    spans: dict[str, list[tuple[float, float]]] = {unit: [] for unit in (*ENGINES, "load", "store")}
    held: dict[int, tuple[float, float]] = {}
    for instruction, slot in zip(machine.log, schedule.slots, strict=True):
        spans[queue_of(instruction, machine)].append((slot.start, slot.end))
        for access in (*instruction.reads, *instruction.writes):
            first, last = held.get(access.storage, (slot.start, slot.end))
            held[access.storage] = min(first, slot.start), max(last, slot.end)
    tiles: dict[str, list[tuple[float, float, float]]] = {memory: [] for memory in MEMORIES}
    for storage, (first, last) in held.items():
        allocation = machine.allocations[storage]
        if allocation.space in tiles:
            tiles[allocation.space].append((first, last, float(allocation.bytes)))
    return {
        "interval_ns": width,
        "percent": {
            unit: np.rint(100 * _average(_union(found), edges)).astype(int).tolist()
            for unit, found in spans.items()
            if found
        },
        "bytes": {memory: np.rint(_average(found, edges)).astype(int).tolist() for memory, found in tiles.items()},
    }


def queue_of(instruction: Instruction, machine: Machine) -> str:
    """Its engine; of a transfer, whether it loads or stores."""
    if instruction.engine != "dma":
        return instruction.engine
    return "load" if machine.allocations[instruction.writes[0].storage].space == "sbuf" else "store"


def _union(spans: list[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Without what overlaps: several transfers are under way at once."""
    joined: list[tuple[float, float, float]] = []
    until = 0.0
    for start, end in sorted(spans):
        if end > max(start, until):
            joined.append((max(start, until), end, 1.0))
            until = end
    return joined


def _average(spans: list[tuple[float, float, float]], edges: np.ndarray) -> np.ndarray:
    """Over each interval, of the sum of heights of (start, end, height)."""
    if not spans:
        return np.zeros(len(edges) - 1)
    starts, ends, heights = np.array(spans).T
    times = np.concatenate([starts, ends])
    changes = np.concatenate([heights, -heights])
    order = np.argsort(times, kind="stable")
    times, levels = times[order], np.cumsum(changes[order])
    integral = np.concatenate([[0.0], np.cumsum(np.diff(times) * levels[:-1])])
    return np.diff(np.interp(edges, times, integral)) / np.diff(edges)
