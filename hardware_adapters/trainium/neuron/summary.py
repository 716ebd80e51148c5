"""A measured profile from the profiler's summary: only what it says, estimates never mixed in.

Times are in seconds, `*_percent` are fractions of 1, sizes in bytes. What a summary lacks stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...base import Bottleneck, Evaluation, Problem, Profile, UnitTime
from ..bottlenecks import BOUND, COMPUTE, RELOADED

ENGINES = {"pe": "tensor", "vector": "vector", "scalar": "scalar", "gpsimd": "gpsimd"}
# Ours -> theirs; where two names were in use, the newer first.
COUNTERS = {
    "hbm_bytes_read": ("hbm_read_bytes",),
    "hbm_bytes_written": ("hbm_write_bytes",),
    "sbuf_bytes_read": ("sbuf_read_bytes", "sb_read_bytes"),
    "sbuf_bytes_written": ("sbuf_write_bytes", "sb_write_bytes"),
    "psum_bytes_read": ("psum_read_bytes",),
    "psum_bytes_written": ("psum_write_bytes",),
    "spill_bytes_saved": ("spill_save_bytes",),
    "spill_bytes_reloaded": ("spill_reload_bytes",),
    "dma_transfers": ("dma_transfer_count",),
    "dma_bytes": ("dma_transfer_total_bytes", "dma_total_bytes"),
    "matmul_instructions": ("matmul_instruction_count",),
    **{f"{unit}_instructions": (f"{name}_engine_instruction_count",) for unit, name in ENGINES.items()},
}
# As thousandths, because counters are whole numbers.
PER_MILLE = {
    "mfu_per_mille": "mfu_estimated_percent",
    "hfu_per_mille": "hfu_estimated_percent",
    "mbu_per_mille": "mbu_estimated_percent",
}
NAMES = {"pe": "Tensor engine", "vector": "Vector engine", "scalar": "Scalar engine", "gpsimd": "GpSimd engine"}
SMALL_TRANSFER = 32 << 10
LARGEST = 1e30  # what a counter or a time may be; beyond it, and not a number, is no figure


def measured_profile(problem: Problem, evaluation: Evaluation, summary: Mapping[str, Any]) -> Profile:
    """Of a kernel that passed; `summary` is that of one execution."""
    assert evaluation.latency is not None
    return Profile(
        problem=problem.id,
        kernel=evaluation.kernel,
        engine=evaluation.engine,
        engine_version=evaluation.engine_version,
        source="measured",
        latency=evaluation.latency,
        utilisation=evaluation.utilisation,
        counters={**evaluation.counters, **counters(summary)},
        units=units(summary),
        stalls=(),  # the summary does not say what an engine waits for
        bottlenecks=bottlenecks(problem, evaluation.utilisation, summary),
    )


def counters(summary: Mapping[str, Any]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for ours, names in COUNTERS.items():
        value = next((v for name in names if (v := _number(summary, name)) is not None), None)
        found[ours] = None if value is None else round(value)
    for ours, name in PER_MILLE.items():
        value = _number(summary, name)
        found[ours] = None if value is None else round(1000 * value)
    return found


def units(summary: Mapping[str, Any]) -> tuple[UnitTime, ...]:
    """Active time of each engine that the summary knows."""
    total = float(summary["total_time"])
    found = []
    for unit, share in shares(summary).items():
        name = "dma" if unit == "dma" else f"{ENGINES[unit]}_engine"
        active = _number(summary, f"{name}_active_time")
        busy = share * total if active is None else active
        found.append(UnitTime(unit=unit, busy=round(busy * 1e9), share=round(share, 4)))
    return tuple(found)


def shares(summary: Mapping[str, Any]) -> dict[str, float]:
    """Of the total time, by engine; engines that the summary does not name are left out."""
    named = {**{unit: f"{name}_engine_active_time_percent" for unit, name in ENGINES.items()}}
    named["dma"] = "dma_active_time_percent"
    found = {unit: _number(summary, name) for unit, name in named.items()}
    return {unit: min(1.0, value) for unit, value in found.items() if value is not None}


def bottlenecks(problem: Problem, utilisation: float | None, summary: Mapping[str, Any]) -> tuple[Bottleneck, ...]:
    """Most costly first, with the ids that menu options answer to."""
    found = sorted(_rules(problem, summary), key=lambda entry: (-entry[0], entry[1].id))
    if utilisation is not None and utilisation > 0.9:
        text = "the latency is near the bound: little is left to gain on this machine"
        near = Bottleneck(id="near_bound", explanation=text, evidence={"utilisation": round(utilisation, 3)})
        found.insert(0, (1.0, near))
    return tuple(bottleneck for _, bottleneck in found)


def _rules(problem: Problem, summary: Mapping[str, Any]) -> Iterator[tuple[float, Bottleneck]]:
    active, counted = shares(summary), counters(summary)
    for unit in COMPUTE:
        if active.get(unit, 0.0) >= BOUND:
            text = f"the {NAMES[unit]} was active most of the time"
            yield active[unit], Bottleneck(id=f"{unit}_bound", explanation=text, evidence={"share": active[unit]})
    dma = active.get("dma")
    if dma is not None and dma >= BOUND:
        text = "the DMA engines were active most of the time"
        yield dma, Bottleneck(id="dma_bound", explanation=text, evidence={"share": dma})
    engines = {unit: active[unit] for unit in COMPUTE if unit in active}
    if engines and dma is not None and max(dma, *engines.values()) < BOUND:
        idle = 1 - max(dma, *engines.values())
        evidence = {f"{unit}_share": share for unit, share in active.items()}
        if dma >= max(engines.values()):
            text = "no unit was active most of the time, the DMA engines longest: latency of transfers is exposed"
            yield idle, Bottleneck(id="load_latency", explanation=text, evidence=evidence)
        else:
            text = "no unit was active most of the time: engines wait for one another's results"
            yield idle, Bottleneck(id="dependency", explanation=text, evidence=evidence)
    count, moved = counted["dma_transfers"], counted["dma_bytes"]
    if count and moved and moved / count < SMALL_TRANSFER:
        text = "transfers were small on average"
        evidence = {"average_bytes": round(moved / count), "transfers": float(count)}
        yield (dma or 0.0) * 0.5, Bottleneck(id="small_transfers", explanation=text, evidence=evidence)
    read, spilled = counted["hbm_bytes_read"], (counted["spill_bytes_saved"] or 0)
    if spilled:
        text = "the compiler moved tiles out of SBUF to HBM and back: more lives at once than there is room for"
        evidence = {"spill_bytes_saved": float(spilled), "spill_bytes_reloaded": counted["spill_bytes_reloaded"] or 0.0}
        yield 0.5, Bottleneck(id="sbuf_space", explanation=text, evidence=evidence)
    if read and read > RELOADED * problem.work.bytes_in:
        text = f"{read / problem.work.bytes_in:.1f} times the size of the inputs was read from HBM"
        evidence = {"bytes_read": float(read), "bytes_needed": float(problem.work.bytes_in)}
        yield (
            (dma or 0.0) * (1 - problem.work.bytes_in / read),
            Bottleneck(id="reload_traffic", explanation=text, evidence=evidence),
        )


def _number(summary: Mapping[str, Any], name: str) -> float | None:
    value = summary.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < LARGEST:
        return None
    return float(value)
