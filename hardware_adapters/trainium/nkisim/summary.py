"""What a schedule says about a kernel: busy engines, waits by cause, traffic, the path that decides the latency."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .activity import over_time
from .machine import PARTITIONS, Machine
from .schedule import ENGINES, Schedule, occupied_bytes

SMALL_RUN_BYTES = 512  # pieces below this lose a notable part of the DMA's rate
SMALL_DMA_BYTES = 32 * 1024  # transfers below this are mostly latency
SHORT_CYCLES = 64
WINDOWS = 16
WAITS = 3  # pairs of lines per engine


def summarise(schedule: Schedule, machine: Machine) -> dict[str, Any]:
    log, slots, spec = machine.log, schedule.slots, schedule.spec
    busy: dict[str, float] = {unit: 0.0 for unit in (*ENGINES, "dma")}
    free: dict[str, float] = {unit: 0.0 for unit in ENGINES}
    counts: dict[str, int] = defaultdict(int)
    stalls: dict[str, dict[str, float]] = {unit: defaultdict(float) for unit in ENGINES}
    lines: dict[int, float] = defaultdict(float)
    waits: dict[str, dict[tuple[int | None, int | None], float]] = {unit: defaultdict(float) for unit in ENGINES}
    traffic: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    short = dma_count = dma_bytes = small = partitions = spread = fp32_pe = 0.0
    macs = 0
    for instruction, slot in zip(log, slots, strict=True):
        counts[instruction.name] += 1
        if instruction.engine == "dma":
            amount, _ = occupied_bytes(instruction, spec)
            time = amount / spec.dma_rate
            dma_count += 1
            dma_bytes += instruction.bytes
            small += instruction.bytes if instruction.run < SMALL_RUN_BYTES else 0
            for way, accesses in enumerate((instruction.reads, instruction.writes)):
                for access in accesses:
                    allocation = machine.allocations[access.storage]
                    if allocation.space.endswith("hbm"):
                        traffic[allocation.name][way] += instruction.bytes
        else:
            time = slot.end - slot.start
            engine = instruction.engine
            gap = slot.start - free[engine]
            if gap > 0:
                stalls[engine][slot.cause or "wait_port"] += gap
                awaited = log[slot.after] if slot.after is not None else None
                if awaited is not None and awaited.engine != "dma" and None not in (instruction.line, awaited.line):
                    waits[engine][instruction.line, awaited.line] += gap
            free[engine] = slot.end
            short += time if instruction.cycles <= SHORT_CYCLES else 0.0
            partitions += instruction.shape[0] * time
            spread += time
            macs += instruction.macs
            if engine == "pe" and instruction.dtype == "float32" and instruction.reads:
                fp32_pe += _is_fp32(machine, instruction) * time
        busy[instruction.engine] += time
        if instruction.line is not None:
            lines[instruction.line] += time
    for engine in ENGINES:
        stalls[engine]["drain"] += schedule.latency_ns - free[engine]
    costliest = sorted(lines.items(), key=lambda entry: (-entry[1], entry[0]))
    return {
        "latency_ns": schedule.latency_ns,
        "busy_ns": busy,
        "stalls_ns": {engine: dict(causes) for engine, causes in stalls.items()},
        "waits": {engine: _longest(found) for engine, found in waits.items() if found},
        "counts": dict(counts),
        "instructions": len(log),
        "macs": macs,
        "dma": {"count": dma_count, "bytes": dma_bytes, "small_run_bytes": small},
        "short_ns": short,
        "fp32_pe_ns": fp32_pe,
        "partition_fill": partitions / spread / PARTITIONS if spread else None,
        "traffic": dict(traffic),
        "peak": schedule.peak,
        "path_ns": critical_path(schedule, machine),
        "lines": [[line, time] for line, time in costliest],
        "over_time": over_time(schedule, machine),
    }


def _longest(waits: dict[tuple[int | None, int | None], float]) -> list[list[Any]]:
    """[line that waits, line whose result it waits for, ns], the longest first."""
    ordered = sorted(waits.items(), key=lambda entry: -entry[1])
    return [[line, awaited, time] for (line, awaited), time in ordered[:WAITS]]


def _is_fp32(machine: Machine, instruction: Any) -> bool:
    """Whether a product took four passes: its cost says so."""
    return instruction.cycles > instruction.shape[1] * 2


def critical_path(schedule: Schedule, machine: Machine) -> dict[str, float]:
    """ns by unit on a chain of instructions, each waiting for the one before, that ends with the last one."""
    slots, log = schedule.slots, machine.log
    if not slots:
        return {}
    before: dict[str, int] = {}
    previous: list[int | None] = []
    for number, instruction in enumerate(log):
        previous.append(before.get(instruction.engine))
        before[instruction.engine] = number
    path: dict[str, float] = defaultdict(float)
    at: int | None = max(range(len(slots)), key=lambda number: slots[number].end)
    end = schedule.latency_ns
    while at is not None:
        slot = slots[at]
        path[log[at].engine] += max(0.0, end - slot.start)
        end = min(end, slot.start)
        at = slot.after if slot.after is not None else previous[at]
    return dict(path)
