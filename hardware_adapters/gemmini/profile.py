"""What the simulator counted, as a profile that names the bottleneck by fixed rules."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from ..base import (
    Activity,
    DetailedProfile,
    Evaluation,
    LineCost,
    Occupancy,
    Problem,
    Profile,
    Roofline,
    Stall,
    Traffic,
    UnitTime,
)
from .bottlenecks import find_bottlenecks
from .debug_info import LineTable
from .gemsim import RawProfile
from .operators import tensor_bytes

MAX_LINES = 12
MAX_LINE_CHARS = 100
LINES_MEAN = (
    "CPU cycles at each line, waits for the command queue and for fences included; the accelerator works meanwhile"
)
LINE_BYTES = 64  # of the L2
REUSED = {"gemm": ("A", "B", "C")}  # by family: tensors of which every element takes part in as many MACs
# Counters by unit; the array's own time and its stalls are exclusive and add up to all cycles.
_BUSY = {"array": "array_busy_cycles", "load": "load_busy_cycles", "store": "store_busy_cycles"}
_STALL = "stall_"


def make_profile(
    problem: Problem,
    source: str,
    evaluation: Evaluation,
    raw: RawProfile,
    lines: LineTable,
    timeline: str | None,
    *,
    detail: bool = False,
) -> Profile:
    """The profile of the first timed call of a kernel that passed. A few KB as JSON, whatever the kernel, unless
    `detail` is asked for."""
    assert evaluation.latency is not None
    cycles = max(1, raw.cycles)
    traffic = _traffic(problem, raw)
    warm = evaluation.warm_latency.value if evaluation.warm_latency else None
    profile = Profile(
        problem=problem.id,
        kernel=evaluation.kernel,
        engine=evaluation.engine,
        engine_version=evaluation.engine_version,
        source=evaluation.source,
        latency=evaluation.latency,
        utilisation=evaluation.utilisation,
        counters=_counters(raw, evaluation),
        units=_units(raw.counters, evaluation, cycles),
        stalls=_stalls(raw.counters, cycles),
        bottlenecks=find_bottlenecks(raw.counters, cycles, warm, problem.bound and problem.bound.value, traffic),
        commands={name: count for name, count in raw.commands.items() if count},
        traffic=traffic,
        roofline=_roofline(problem, raw),
        occupancy=_occupancy(raw),
        activity=_activity(raw),
        lines=_line_costs(raw, lines, source, None if detail else MAX_LINES),
        timeline=timeline,
    )
    return DetailedProfile.of(profile, "array", LINES_MEAN, _waits(raw, cycles)) if detail else profile


def _counters(raw: RawProfile, evaluation: Evaluation) -> dict[str, int | None]:
    counters: dict[str, int | None] = {**evaluation.counters, **raw.counters}
    counters["cycles"] = raw.cycles
    counters["spad_rows_used"] = raw.spad_rows_used
    counters["acc_rows_used"] = raw.acc_rows_used
    return counters


def _units(counters: Mapping[str, int], evaluation: Evaluation, cycles: int) -> tuple[UnitTime, ...]:
    busy = {unit: counters[name] for unit, name in _BUSY.items() if name in counters}
    instret = evaluation.counters.get("instret")
    if instret is not None:
        busy["cpu"] = instret  # one instruction per cycle when it does not wait
    return tuple(UnitTime(unit=unit, busy=count, share=_share(count, cycles)) for unit, count in busy.items())


def _stalls(counters: Mapping[str, int], cycles: int) -> tuple[Stall, ...]:
    stalls = [
        (name.removeprefix(_STALL), count) for name, count in counters.items() if name.startswith(_STALL) and count
    ]
    stalls.sort(key=lambda stall: (-stall[1], stall[0]))
    return tuple(Stall(cause=cause, cycles=count, share=_share(count, cycles)) for cause, count in stalls)


def _share(count: int, cycles: int) -> float:
    return round(count / cycles, 4)


def _traffic(problem: Problem, raw: RawProfile) -> tuple[Traffic, ...]:
    moved = {buffer.name: buffer for buffer in raw.buffers}
    traffic = []
    for tensor in problem.tensors:
        buffer = moved.get(tensor.name)
        if buffer is None:
            continue
        count = buffer.bytes_in if tensor.role == "input" else buffer.bytes_out
        needed = tensor_bytes(tensor)
        elements = count * math.prod(tensor.shape) / needed
        macs = problem.work.macs if tensor.name in REUSED.get(problem.family, ()) else None
        reuse = round(macs / elements, 1) if elements and macs is not None else None
        entry = Traffic(
            tensor=tensor.name,
            bytes_moved=count,
            bytes_needed=needed,
            reloads=round(count / needed, 3),
            reuse=reuse,
        )
        traffic.append(entry)
    return tuple(traffic)


def _roofline(problem: Problem, raw: RawProfile) -> Roofline | None:
    """Bytes are those that really moved, so that a kernel's reloads show as a lower ceiling."""
    moved = raw.counters.get("dma_bytes_in", 0) + raw.counters.get("dma_bytes_out", 0)
    macs, machine = problem.work.macs, raw.machine
    if not moved or macs is None:
        return None
    fetched = raw.counters.get("l2_misses", 0) * LINE_BYTES
    ceilings = {"array": float(machine.macs_per_cycle), "port": macs / moved * machine.port_bytes_per_cycle}
    if fetched:
        ceilings["dram"] = macs / fetched * machine.dram_bytes_per_cycle
    bound = min(ceilings, key=lambda name: ceilings[name])
    return Roofline(
        intensity=round(macs / moved, 2),
        ridge=round(machine.macs_per_cycle / machine.port_bytes_per_cycle, 2),
        dram_intensity=round(macs / fetched, 2) if fetched else None,
        dram_ridge=round(machine.macs_per_cycle / machine.dram_bytes_per_cycle, 2),
        attainable=round(ceilings[bound], 1),
        achieved=round(macs / max(1, raw.cycles), 1),
        bound=bound,
        work="MACs",
        time="cycle",
        peaks={"array": float(machine.macs_per_cycle)},
        memories={"port": float(machine.port_bytes_per_cycle), "dram": round(machine.dram_bytes_per_cycle, 3)},
        intensities={
            "port": round(macs / moved, 2),
            **({"dram": round(macs / fetched, 2)} if fetched else {}),
        },
    )


def _activity(raw: RawProfile) -> tuple[Activity, ...]:
    if raw.activity is None:
        return ()
    return tuple(
        Activity.of(unit, raw.activity.interval_cycles, percent) for unit, percent in raw.activity.percent.items()
    )


def _occupancy(raw: RawProfile) -> tuple[Occupancy, ...]:
    if raw.occupancy is None:
        return ()
    interval, machine = raw.occupancy.interval_cycles, raw.machine
    return tuple(
        Occupancy(memory=memory, capacity=rows, peak=max(live, default=0), interval=interval, live=live)
        for memory, rows, live in (
            ("scratchpad", machine.spad_rows, raw.occupancy.spad),
            ("accumulator", machine.acc_rows, raw.occupancy.acc),
        )
    )


def _waits(raw: RawProfile, cycles: int) -> dict[str, tuple[Stall, ...]]:
    """Of the units beside the array the CPU alone tells what it waits for, and only this."""
    full = raw.counters.get("rocc_queue_full_cycles", 0)
    return {"cpu": (Stall(cause="command_queue_full", cycles=full, share=_share(full, cycles)),)} if full else {}


def _line_costs(raw: RawProfile, table: LineTable, source: str, most: int | None) -> tuple[LineCost, ...]:
    """CPU cycles per source line, waiting for a full command queue or a fence included."""
    cost: dict[int, int] = defaultdict(int)
    for pc, cycles, _ in raw.pc_cycles:
        if (line := table.line(pc)) is not None:
            cost[line] += cycles
    text = source.split("\n")
    worst = sorted(cost.items(), key=lambda item: (-item[1], item[0]))[:most]
    return tuple(
        LineCost(line=line, cycles=cycles, text=text[line - 1].strip()[:MAX_LINE_CHARS] if line <= len(text) else "")
        for line, cycles in worst
    )
