"""Counters that Nsight Compute read, as a profile. Times are ns, also where a field is named cycles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...base import Bottleneck, Evaluation, Latency, Problem, Profile, Span, Stall, UnitTime
from ..bottlenecks import CONFLICTING, LOW_OCCUPANCY, NEAR, RELOADED, WASTEFUL
from ..machines import Machine
from ..nvcc import Compiled
from ..operators import Operator, bound, moved_bytes
from ..over_time import roofline, spans
from .ncu import KernelCounters, ratio, total

NOTABLE = 0.05
HIGH = 60.0  # percent of its peak from which on a unit limits
TIME = "gpu__time_duration.sum"
SM, DRAM = "sm__throughput.avg.pct_of_peak_sustained_elapsed", "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"
TENSOR = "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active"
WARPS = "sm__warps_active.avg.pct_of_peak_sustained_active"
SECTORS, REQUESTS = (f"l1tex__t_{what}_pipe_lsu_mem_global_op_" for what in ("sectors", "requests"))
WAVEFRONTS = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_"
CONFLICTS = "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_"
STALLED = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
# What warps wait for: the cause's name in the profile, and the bottleneck that its lead means.
STALLS = {
    "long_scoreboard": ("wait_latency", "latency_bound"),
    "short_scoreboard": ("wait_shared", "shared_bound"),
    "mio_throttle": ("wait_shared", "shared_bound"),
    "lg_throttle": ("wait_lsu", "lsu_bound"),
    "barrier": ("wait_barrier", "barriers"),
    "math_pipe_throttle": ("fp32_busy", "compute_bound"),
    "wait": ("wait_dependency", "compute_bound"),
}
SAID = {
    "latency_bound": "warps wait for global memory: more resident warps, or more independent loads in each",
    "shared_bound": "warps wait for shared memory: keep more in registers, so that each value is loaded less often",
    "lsu_bound": "the queue of global loads and stores is full: wider accesses, or fewer of them",
    "barriers": "warps wait at barriers: more work per step, or warp shuffles in place of shared memory",
    "compute_bound": "warps wait for arithmetic: only fewer or cheaper operations are left to gain",
}
LIMITERS = {
    "registers": "launch__occupancy_limit_registers",
    "shared_memory": "launch__occupancy_limit_shared_mem",
    "blocks": "launch__occupancy_limit_blocks",
    "warps": "launch__occupancy_limit_warps",
}


def make_profile(
    problem: Problem,
    operator: Operator,
    evaluation: Evaluation,
    kernels: Sequence[KernelCounters],
    compiled: Compiled,
    device: Machine,
) -> Profile:
    """Of a kernel that passed. Every number was measured, with the caches emptied."""
    time_ns = total(kernels, TIME) or 0.0
    least = bound(operator, device)
    return Profile(
        problem=problem.id,
        kernel=evaluation.kernel,
        engine=evaluation.engine,
        engine_version=evaluation.engine_version,
        source="measured",
        latency=Latency(
            value=round(time_ns, 1),
            unit="ns",
            statistic=f"{len(kernels)} kernels under Nsight Compute, each alone: not the timing of run_kernel",
        ),
        utilisation=min(1.0, least.value / time_ns) if time_ns else None,
        counters=counters(kernels, compiled),
        units=tuple(_units(kernels, time_ns)),
        stalls=_stalls(kernels, time_ns),
        bottlenecks=bottlenecks(operator, kernels, compiled, least.value / time_ns if time_ns else 0.0),
        roofline=roofline(operator, time_ns, device, dram=_dram_bytes(kernels)),
        spans=spans(launches(kernels)),
    )


def launches(kernels: Sequence[KernelCounters]) -> list[Span]:
    """One after the other, as a stream has them: the profiler runs each alone, and when it began is not measured."""
    made: list[Span] = []
    at = 0.0
    for kernel in kernels:
        duration = kernel.metrics[TIME] or 0.0
        detail = {"blocks": float(math.prod(kernel.grid)), "threads_per_block": float(math.prod(kernel.block))}
        detail |= {name: value for name, value in kernel.metrics.items() if value is not None and math.isfinite(value)}
        made.append(Span(name=kernel.name, start=round(at, 1), duration=round(duration, 1), detail=detail))
        at += duration
    return made


def counters(kernels: Sequence[KernelCounters], compiled: Compiled) -> dict[str, int | None]:
    """Under the names of the engine cpu where they mean the same; None: this device or version does not tell."""

    def known(value: float | None) -> int | None:
        return None if value is None else round(value)

    longest = max(kernels, key=lambda kernel: kernel.metrics[TIME] or 0.0)
    spills = [entry.spill_stores + entry.spill_loads for entry in compiled.kernels.values()]
    return {
        "launches": len(kernels),
        "blocks": math.prod(longest.grid),
        "threads_per_block": math.prod(longest.block),
        "registers_per_thread": known(total(kernels, "launch__registers_per_thread")),
        "spill_bytes_per_thread": max(spills, default=None),
        "occupancy_percent": known(total(kernels, WARPS)),
        "global_load_requests": known(total(kernels, f"{REQUESTS}ld.sum")),
        "global_load_sectors": known(total(kernels, f"{SECTORS}ld.sum")),
        "global_store_requests": known(total(kernels, f"{REQUESTS}st.sum")),
        "global_store_sectors": known(total(kernels, f"{SECTORS}st.sum")),
        "shared_wavefronts": known(_both(kernels, WAVEFRONTS)),
        "shared_conflicts": known(_both(kernels, CONFLICTS)),
        "l1_hit_percent": known(total(kernels, "l1tex__t_sector_hit_rate.pct")),
        "l2_hit_percent": known(total(kernels, "lts__t_sector_hit_rate.pct")),
        "dram_bytes": known(_dram_bytes(kernels)),
        "tensor_percent": known(total(kernels, TENSOR)),
    }


def bottlenecks(
    operator: Operator, kernels: Sequence[KernelCounters], compiled: Compiled, utilisation: float
) -> tuple[Bottleneck, ...]:
    """Most costly first; never empty. The ids are those of the engine cpu: the menu answers to both."""
    costed = sorted(_found(operator, kernels, compiled), key=lambda pair: (-pair[0], pair[1].id))
    best: dict[str, Bottleneck] = {}
    for cost, entry in costed:
        if cost >= NOTABLE:
            best.setdefault(entry.id, entry)
    ordered = list(best.values())
    if utilisation >= NEAR:
        text = "the latency is near the bound: little is left to gain"
        ordered.insert(
            0, Bottleneck(id="near_bound", explanation=text, evidence={"utilisation": round(utilisation, 3)})
        )
    if not ordered:
        text = SAID["latency_bound"] + " (no counter stands out)"
        ordered.append(Bottleneck(id="latency_bound", explanation=text))
    return tuple(ordered)


def _found(
    operator: Operator, kernels: Sequence[KernelCounters], compiled: Compiled
) -> Iterator[tuple[float, Bottleneck]]:
    for metric, name, text in (
        (DRAM, "dram_bound", "DRAM is busy most of the time: move each byte once, and fewer of them"),
        (SM, "compute_bound", "the SMs' pipelines are busy most of the time: only fewer or cheaper operations help"),
    ):
        share = total(kernels, metric)
        if share is not None and share >= HIGH:
            yield share / 100, Bottleneck(id=name, explanation=text, evidence={"percent_of_peak": round(share, 1)})
    yield from _waiting(kernels)
    yield from _accesses(operator, kernels)
    occupancy = total(kernels, WARPS)
    if occupancy is not None and occupancy < 100 * LOW_OCCUPANCY:
        limits = {name: total(kernels, metric) for name, metric in LIMITERS.items()}
        known = {name: limit for name, limit in limits.items() if limit is not None}
        limiter = min(known, key=lambda name: known[name]).replace("_", " ") if known else "not known"
        text = f"{occupancy:.0f} % of the SM's warps are resident on average; blocks are limited by {limiter}"
        evidence = {
            "occupancy": round(occupancy / 100, 3),
            **{f"blocks_by_{name}": limit for name, limit in known.items()},
        }
        yield 0.5 * (1 - occupancy / 100), Bottleneck(id="low_occupancy", explanation=text, evidence=evidence)
    waves = total(kernels, "launch__waves_per_multiprocessor")
    if waves is not None and 0 < waves < 1:
        text = (
            f"the blocks fill {100 * waves:.0f} % of one round of the SMs: smaller blocks of work, or several per row"
        )
        yield 1 - waves, Bottleneck(id="few_blocks", explanation=text, evidence={"waves": round(waves, 3)})
    spills = sum(entry.spill_stores + entry.spill_loads for entry in compiled.kernels.values())
    if spills:
        text = (
            f"the compiler spills {spills} bytes of registers per thread to local memory; fewer live values per thread"
        )
        yield 0.3, Bottleneck(id="register_spills", explanation=text, evidence={"spill_bytes": float(spills)})


def _waiting(kernels: Sequence[KernelCounters]) -> Iterator[tuple[float, Bottleneck]]:
    shares = _stall_shares(kernels)
    for cause, share in shares.items():
        name = STALLS[cause][1]
        evidence = {
            f"stalled_{cause}": round(total(kernels, STALLED.format(cause)) or 0.0, 2),
            "share": round(share, 3),
        }
        if share >= 0.25:
            yield share * 0.9, Bottleneck(id=name, explanation=SAID[name], evidence=evidence)


def _accesses(operator: Operator, kernels: Sequence[KernelCounters]) -> Iterator[tuple[float, Bottleneck]]:
    for op, what in (("ld", "loads"), ("st", "stores")):
        per_request = ratio(kernels, f"{SECTORS}{op}.sum", f"{REQUESTS}{op}.sum")
        ideal = 4.0  # 32 threads of 4 bytes side by side
        if per_request is not None and per_request >= WASTEFUL * ideal:
            text = (
                f"{what} of a warp touch {per_request:.1f} sectors of 32 bytes on average where {ideal:.0f} would do "
                "for 4 bytes a thread: let neighbouring threads touch neighbouring addresses"
            )
            evidence = {"sectors_per_request": round(per_request, 2), "ideal": ideal}
            yield 1 - ideal / per_request, Bottleneck(id="uncoalesced", explanation=text, evidence=evidence)
    wavefronts, conflicts = _both(kernels, WAVEFRONTS), _both(kernels, CONFLICTS)
    if wavefronts and conflicts is not None and wavefronts >= CONFLICTING * max(1.0, wavefronts - conflicts):
        share = conflicts / wavefronts
        text = f"{100 * share:.0f} % of the passes through shared memory's banks are repeats: pad the rows, or use XOR"
        yield share * 0.8, Bottleneck(id="bank_conflict", explanation=text, evidence={"excess_share": round(share, 3)})
    fetched = _dram_bytes(kernels)
    needed = moved_bytes(operator)
    if fetched is not None and fetched > RELOADED * needed:
        text = f"DRAM moves {fetched / needed:.1f} times the operands' size: larger tiles use each fetched byte more"
        evidence = {"fetched_per_operand_byte": round(fetched / needed, 2)}
        share = (total(kernels, DRAM) or 0.0) / 100
        yield (1 - needed / fetched) * share, Bottleneck(id="reload_traffic", explanation=text, evidence=evidence)


def _stall_shares(kernels: Sequence[KernelCounters]) -> dict[str, float]:
    ratios = {cause: total(kernels, STALLED.format(cause)) or 0.0 for cause in STALLS}
    everything = sum(ratios.values())
    return {cause: value / everything for cause, value in ratios.items()} if everything else {}


def _stalls(kernels: Sequence[KernelCounters], time_ns: float) -> tuple[Stall, ...]:
    """The call divided by what warps waited for when they could not issue."""
    times: dict[str, float] = {}
    for cause, share in _stall_shares(kernels).items():
        times[STALLS[cause][0]] = times.get(STALLS[cause][0], 0.0) + share
    found = (Stall(cause=name, cycles=round(share * time_ns), share=round(share, 4)) for name, share in times.items())
    return tuple(sorted((stall for stall in found if stall.cycles > 0), key=lambda stall: (-stall.cycles, stall.cause)))


def _units(kernels: Sequence[KernelCounters], time_ns: float) -> Iterator[UnitTime]:
    for unit, metric in (("sm", SM), ("dram", DRAM), ("tensor", TENSOR)):
        share = total(kernels, metric)
        if share is not None:
            yield UnitTime(unit=unit, busy=round(share / 100 * time_ns), share=round(share / 100, 4))


def _dram_bytes(kernels: Sequence[KernelCounters]) -> float | None:
    """Read and written; None unless both are known."""
    sizes = [total(kernels, f"dram__bytes_{way}.sum") for way in ("read", "write")]
    return None if None in sizes else sum(filter(None, sizes))


def _both(kernels: Sequence[KernelCounters], metric: str) -> float | None:
    loads, stores = total(kernels, f"{metric}ld.sum"), total(kernels, f"{metric}st.sum")
    return None if loads is None or stores is None else loads + stores
