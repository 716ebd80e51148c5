"""What counts and estimate say, as a profile. Times are ns, also where a field is named cycles."""

from __future__ import annotations

from ..base import DetailedProfile, Evaluation, LineCost, Problem, Profile, Stall, StallCause, UnitTime
from .bottlenecks import find_bottlenecks
from .counts import Site, total
from .estimate import UNITS, Estimate, LaunchEstimate, path_cycles
from .machines import Machine
from .operators import Operator
from .over_time import launches, roofline, spans

MAX_LINES = 12
MAX_LINE_CHARS = 100
LINES_MEAN = (
    "ns for which the accesses of each line to memory occupy the SMs, or the L2 if that is longer; lines that only "
    "compute are not told apart"
)
CAUSES = {
    "fp32_busy": StallCause("arithmetic itself, at its least", ("blocks", "threads_per_block")),
    "wait_lsu": StallCause("loads and stores of global memory fill the SM's path", ("global_load_requests",)),
    "wait_shared": StallCause("accesses to shared memory fill the SM's path", ("shared_wavefronts",)),
    "wait_l2": StallCause("data on its way from the L2", ("l2_bytes",)),
    "wait_dram": StallCause("data on its way from DRAM", ("dram_bytes",)),
    "wait_latency": StallCause("too few loads under way to hide their latency", ("occupancy_percent",)),
    "idle_sms": StallCause("SMs without a block: too few blocks, or a last round that is not full", ("blocks",)),
    "launch": StallCause("fixed cost of kernel launches", ("launches",)),
    "bound": StallCause("the estimate was below the roofline and was raised to it", ()),
}


def counters(found: Estimate) -> dict[str, int | None]:
    """Of the whole call; occupancy and registers of its longest launch. Names end in their unit, if any."""
    main = found.main
    held, facts, counts = main.residency, main.facts, main.counts

    def over(space: str, op: str | None, what: str) -> int:
        return round(
            sum(
                launch.counts.scale * total(launch.counts.sites, lambda site: getattr(site, what), space, op=op)
                for launch in found.launches
            )
        )

    return {
        "launches": len(found.launches),
        "blocks": counts.blocks,
        "threads_per_block": counts.threads,
        "registers_per_thread": facts.registers if facts else None,
        "spill_bytes_per_thread": facts.spill_stores + facts.spill_loads if facts else None,
        "shared_bytes_per_block": counts.shared_bytes,
        "blocks_per_sm": held.blocks,
        "occupancy_percent": round(100 * held.occupancy),
        "barriers_per_block": round(counts.barriers / max(1, counts.blocks_run)),
        "global_load_requests": over("global", "load", "requests"),
        "global_load_sectors": over("global", "load", "sectors"),
        "global_load_ideal_sectors": over("global", "load", "ideal_sectors"),
        "global_store_requests": over("global", "store", "requests"),
        "global_store_sectors": over("global", "store", "sectors"),
        "global_store_ideal_sectors": over("global", "store", "ideal_sectors"),
        "atomics": over("global", "atomic", "threads") + over("shared", "atomic", "threads"),
        "shared_requests": over("shared", None, "requests"),
        "shared_wavefronts": over("shared", None, "wavefronts"),
        "shared_ideal_wavefronts": over("shared", None, "ideal_wavefronts"),
        "l2_bytes": round(sum(launch.l2_bytes for launch in found.launches)),
        "dram_bytes": round(sum(launch.dram_bytes for launch in found.launches)),
        "blocks_counted": sum(launch.counts.blocks_run for launch in found.launches),
    }


def make_profile(
    problem: Problem,
    operator: Operator,
    source: str,
    evaluation: Evaluation,
    found: Estimate,
    machine: Machine,
    *,
    detail: bool = False,
) -> Profile:
    """Of a kernel that passed."""
    assert evaluation.latency is not None and evaluation.utilisation is not None
    dram, l2 = (sum(getattr(launch, size) for launch in found.launches) for size in ("dram_bytes", "l2_bytes"))
    profile = Profile(
        problem=problem.id,
        kernel=evaluation.kernel,
        engine=evaluation.engine,
        engine_version=evaluation.engine_version,
        source=evaluation.source,
        latency=evaluation.latency,
        utilisation=evaluation.utilisation,
        counters=evaluation.counters,
        units=tuple(
            UnitTime(unit=unit, busy=round(found.units[unit]), share=round(found.units[unit] / found.latency_ns, 4))
            for unit in UNITS
        ),
        stalls=_stalls(found),
        bottlenecks=find_bottlenecks(operator, found, evaluation.utilisation),
        commands=_commands(found),
        roofline=roofline(operator, found.latency_ns, machine, dram=dram, l2=l2),
        spans=spans(launches(found, machine)),
        lines=_lines(found, source, machine, None if detail else MAX_LINES),
    )
    return DetailedProfile.of(profile, "fp32", LINES_MEAN) if detail else profile


def _stalls(found: Estimate) -> tuple[Stall, ...]:
    """With the arithmetic they fill the call: of each launch, what the SMs idle, then what limits it."""
    times: dict[str, float] = {"launch": found.launch_ns, "bound": found.latency_ns - found.raw_ns}
    for launch in found.launches:
        work = launch.units["fp32"] * (1 - launch.idle)
        rest = max(0.0, launch.body_ns - work)
        idle = min(rest, launch.idle * launch.body_ns)
        others = {unit: time for unit, time in launch.units.items() if unit != "fp32"}
        limit = max(others, key=lambda unit: others[unit])
        times["idle_sms"] = times.get("idle_sms", 0.0) + idle
        times[f"wait_{limit}"] = times.get(f"wait_{limit}", 0.0) + rest - idle
    stalls = [
        Stall(cause=cause, cycles=round(time), share=round(time / found.latency_ns, 4)) for cause, time in times.items()
    ]
    return tuple(
        sorted((stall for stall in stalls if stall.cycles > 0), key=lambda stall: (-stall.cycles, stall.cause))
    )


def _commands(found: Estimate) -> dict[str, int]:
    """Memory instructions of warps."""
    counted: dict[str, float] = {}
    for launch in found.launches:
        for site in launch.counts.sites:
            name = f"{site.space} {site.op}"
            counted[name] = counted.get(name, 0.0) + launch.counts.scale * site.requests
    return {name: round(count) for name, count in sorted(counted.items())}


def _lines(found: Estimate, source: str, machine: Machine, most: int | None) -> tuple[LineCost, ...]:
    """Time for which the memory accesses of a line occupy the SMs, or the L2 if that is longer."""
    text = source.split("\n")
    times: dict[int, float] = {}
    for launch in found.launches:
        for site in launch.counts.sites:
            times[site.line] = times.get(site.line, 0.0) + _time(launch, site, machine)
    ordered = sorted(times.items(), key=lambda entry: (-entry[1], entry[0]))[:most]
    return tuple(
        LineCost(line=line, cycles=round(time), text=_text(text, line)) for line, time in ordered if round(time) > 0
    )


def _time(launch: LaunchEstimate, site: Site, machine: Machine) -> float:
    every = launch.counts.scale * path_cycles(site, launch.facts.merged if launch.facts else {}, machine)
    passes = every / machine.sms / max(0.01, 1 - launch.idle) / machine.clock_ghz
    if site.space == "shared":
        return passes
    sectors = sum(s.sectors for s in launch.counts.sites if s.space == "global") or 1
    fetched = launch.l2_bytes * site.sectors / sectors
    return max(passes, fetched / machine.l2_rate, launch.units["dram"] * site.sectors / sectors)


def _text(lines: list[str], line: int) -> str:
    return lines[line - 1].strip()[:MAX_LINE_CHARS] if 0 < line <= len(lines) else ""
