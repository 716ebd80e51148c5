"""What the simulator's schedule says, as a profile. Times are ns, also where a field is named cycles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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
    StallCause,
    Traffic,
    UnitTime,
)
from .bottlenecks import COMPUTE, find_bottlenecks, main_engine
from .machines import ENGINES, Machine, machines
from .operators import tensor_bytes

MAX_LINES = 12
MAX_LINE_CHARS = 100
LINES_MEAN = "ns for which the instructions of each line occupy their engines; engines work side by side"
CAUSES = {
    **{f"{unit}_busy": StallCause(f"work of the {unit} engine itself", (f"{unit}_busy_ns",)) for unit in COMPUTE},
    "wait_load": StallCause("operands are still being loaded", ("dma_bytes", "dma_transfers", "dma_busy_ns")),
    "wait_store": StallCause("a tile to be overwritten is still being stored", ("hbm_bytes_written",)),
    **{
        f"wait_{unit}": StallCause(f"a result of the {unit} engine is awaited", (f"{unit}_busy_ns",))
        for unit in COMPUTE
    },
    "wait_sbuf_space": StallCause("no room in SBUF until an earlier tile dies", ("sbuf_bytes_peak",)),
    "wait_psum_space": StallCause("no room in PSUM until an earlier tile dies", ("psum_bytes_peak",)),
    "wait_port": StallCause("the other engine of a shared memory port is at work", ()),
    "drain": StallCause("nothing more to do until the call ends", ()),
}


def make_profile(
    problem: Problem,
    source: str,
    evaluation: Evaluation,
    schedule: Mapping[str, Any],
    timeline: str | None,
    *,
    detail: bool = False,
) -> Profile:
    """Of a kernel that passed."""
    assert evaluation.latency is not None and evaluation.utilisation is not None
    latency, machine = max(1.0, schedule["latency_ns"]), machines()[ENGINES[evaluation.engine]]
    traffic = _traffic(problem, schedule)
    profile = Profile(
        problem=problem.id,
        kernel=evaluation.kernel,
        engine=evaluation.engine,
        engine_version=evaluation.engine_version,
        source=evaluation.source,
        latency=evaluation.latency,
        utilisation=evaluation.utilisation,
        counters={
            **evaluation.counters,
            **{f"critical_path_{unit}_ns": round(time) for unit, time in schedule["path_ns"].items()},
        },
        units=tuple(
            UnitTime(unit=unit, busy=round(time), share=round(time / latency, 4))
            for unit, time in schedule["busy_ns"].items()
        ),
        stalls=_stalls(schedule, main_engine(schedule), latency),
        bottlenecks=find_bottlenecks(schedule, traffic, evaluation.utilisation),
        commands=dict(sorted(schedule["counts"].items())),
        traffic=traffic,
        roofline=_roofline(problem, schedule, machine),
        occupancy=_occupancy(schedule, machine),
        activity=_activity(schedule),
        lines=_lines(schedule, source, None if detail else MAX_LINES),
        timeline=timeline,
    )
    if not detail:
        return profile
    main = main_engine(schedule)
    others = [unit for unit in schedule["stalls_ns"] if unit != main and schedule["busy_ns"][unit]]
    waits = {unit: found for unit in others if (found := _stalls(schedule, unit, latency))}
    return DetailedProfile.of(profile, main, LINES_MEAN, waits)


def _stalls(schedule: Mapping[str, Any], unit: str, latency: float) -> tuple[Stall, ...]:
    """Of one engine: with its work they fill the call."""
    causes = schedule["stalls_ns"].get(unit, {})
    stalls = [Stall(cause=cause, cycles=round(time), share=round(time / latency, 4)) for cause, time in causes.items()]
    return tuple(sorted((s for s in stalls if s.cycles), key=lambda stall: (-stall.cycles, stall.cause)))


def _traffic(problem: Problem, schedule: Mapping[str, Any]) -> tuple[Traffic, ...]:
    found, macs = [], problem.work.macs
    for tensor in problem.tensors:
        read, written = schedule["traffic"].get(tensor.name, (0, 0))
        moved = read if tensor.role == "input" else written
        needed = tensor_bytes(tensor)
        found.append(
            Traffic(
                tensor=tensor.name, bytes_moved=moved, bytes_needed=needed, reloads=round(moved / needed, 3),
                reuse=round(macs * needed / moved / math.prod(tensor.shape), 1) if moved and macs else None,
            )
        )  # fmt: skip
    return tuple(found)


def _roofline(problem: Problem, schedule: Mapping[str, Any], machine: Machine) -> Roofline | None:
    """Of kernels with products; bytes are those that moved between HBM and the core, reloads and spills too."""
    macs, moved = problem.work.macs, sum(read + written for read, written in schedule["traffic"].values())
    if not macs or not moved:
        return None
    peak, intensity = machine.macs_per_ns("bfloat16"), round(macs / moved, 2)
    hbm = macs / moved * machine.dma_rate
    return Roofline(
        intensity=intensity,
        ridge=round(peak / machine.dma_rate, 2),
        attainable=round(min(peak, hbm), 1),
        achieved=round(macs / max(1.0, schedule["latency_ns"]), 1),
        bound="bfloat16" if peak <= hbm else "HBM",
        work="MACs",
        time="ns",
        peaks={"bfloat16": peak, "float32": machine.macs_per_ns("float32")},
        memories={"HBM": machine.dma_rate},
        intensities={"HBM": intensity},
    )


def _occupancy(schedule: Mapping[str, Any], machine: Machine) -> tuple[Occupancy, ...]:
    sizes, found = {"sbuf": machine.sbuf_bytes, "psum": machine.psum_bytes}, schedule["over_time"]
    return tuple(
        Occupancy(
            memory=memory.upper(), capacity=sizes[memory], peak=max(live, default=0), interval=found["interval_ns"],
            live=tuple(live), unit="bytes of each partition",
        )
        for memory, live in found["bytes"].items()
    )  # fmt: skip


def _activity(schedule: Mapping[str, Any]) -> tuple[Activity, ...]:
    found = schedule["over_time"]
    return tuple(Activity.of(unit, found["interval_ns"], percent) for unit, percent in found["percent"].items())


def _lines(schedule: Mapping[str, Any], source: str, most: int | None) -> tuple[LineCost, ...]:
    """Time that each line's instructions occupy their engines."""
    text = source.split("\n")
    return tuple(
        LineCost(
            line=line, cycles=round(time), text=text[line - 1].strip()[:MAX_LINE_CHARS] if line <= len(text) else ""
        )
        for line, time in schedule["lines"][:most]
    )
