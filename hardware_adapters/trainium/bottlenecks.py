"""Rules that turn a schedule into the bottlenecks a menu option can answer to.

Shares are of the latency. The main engine is the compute engine that works most; its waits and its work fill the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..base import Bottleneck, Traffic

NOTABLE = 0.05
BOUND = 0.7  # busy that long, a unit sets the pace
RELOADED = 1.5
SHORT = 0.15
SMALL_PIECES = 0.25
FILL = 0.75
COMPUTE = ("pe", "vector", "scalar", "gpsimd")
_NAMES = {"pe": "Tensor engine", "vector": "Vector engine", "scalar": "Scalar engine", "gpsimd": "GpSimd engine"}

Costed = tuple[float, Bottleneck]


def main_engine(schedule: Mapping[str, Any]) -> str:
    busy = schedule["busy_ns"]
    return max(COMPUTE, key=lambda unit: busy[unit])


def find_bottlenecks(
    schedule: Mapping[str, Any], traffic: Sequence[Traffic], utilisation: float
) -> tuple[Bottleneck, ...]:
    """Most costly first; never empty, for something always limits a kernel."""
    latency = max(1.0, schedule["latency_ns"])
    found = [
        entry
        for rule in (_busy_rules, _wait_rules, _dma_rules, _shape_rules)
        for entry in rule(schedule, latency)
        if entry[0] >= NOTABLE
    ]
    found += [entry for entry in _reload_rule(schedule, latency, traffic) if entry[0] >= NOTABLE]
    if not found:
        unit = main_engine(schedule)
        share = schedule["busy_ns"][unit] / latency
        found = [(share, _busy(unit, share))]
    found.sort(key=lambda entry: (-entry[0], entry[1].id))
    dearest: dict[str, Costed] = {}
    for entry in found:
        dearest.setdefault(entry[1].id, entry)
    found = list(dearest.values())
    if utilisation > 0.9:
        text = "the latency is near the bound: little is left to gain on this machine"
        near = Bottleneck(id="near_bound", explanation=text, evidence={"utilisation": round(utilisation, 3)})
        found.insert(0, (1.0, near))
    return tuple(bottleneck for _, bottleneck in found)


def _busy(unit: str, share: float) -> Bottleneck:
    explanation = f"the {_NAMES[unit]} works most of the time: give it less, or move work to an idle engine"
    if unit == "pe":
        explanation = "the Tensor engine works most of the time: full tiles and a narrower type are what is left"
    return Bottleneck(id=f"{unit}_bound", explanation=explanation, evidence={"busy_share": round(share, 3)})


def _busy_rules(schedule: Mapping[str, Any], latency: float) -> Iterator[Costed]:
    for unit in COMPUTE:
        share = schedule["busy_ns"][unit] / latency
        if share >= BOUND:
            yield share, _busy(unit, share)
    share = schedule["busy_ns"]["dma"] / latency
    if share >= BOUND:
        text = "the DMA engines work most of the time: move fewer bytes, each once, in long pieces"
        yield share, Bottleneck(id="dma_bound", explanation=text, evidence={"busy_share": round(share, 3)})


def _wait_rules(schedule: Mapping[str, Any], latency: float) -> Iterator[Costed]:
    unit = main_engine(schedule)
    waits = schedule["stalls_ns"].get(unit, {})
    loads = waits.get("wait_load", 0.0) / latency
    dma = schedule["busy_ns"]["dma"] / latency
    evidence = {"wait_share": round(loads, 3), "dma_busy_share": round(dma, 3)}
    text = (
        f"the {_NAMES[unit]} waits for loads though the DMA engines have time: each load's latency is exposed. "
        "Load earlier and more at once, into tiles of their own"
    )
    if dma < BOUND:
        yield loads, Bottleneck(id="load_latency", explanation=text, evidence=evidence)
    others = {name: waits.get(f"wait_{name}", 0.0) / latency for name in COMPUTE}
    share = min(sum(others.values()), _on_path(schedule, *COMPUTE) / latency)
    worst = max(others, key=lambda name: others[name])
    text = (
        f"the {_NAMES[unit]} waits for results, mostly of the {_NAMES[worst]}{_longest_wait(schedule, unit)}: a chain "
        "of instructions that depend on one another; work on several tiles in turn, or fuse the steps"
    )
    yield (
        share,
        Bottleneck(
            id="dependency", explanation=text, evidence={f"wait_{n}": round(s, 3) for n, s in others.items() if s}
        ),
    )
    drain = waits.get("drain", 0.0) / latency
    text = f"the {_NAMES[unit]} has nothing more to do while the call drains: smaller last tiles, earlier stores"
    yield drain, Bottleneck(id="drain", explanation=text, evidence={"drain_share": round(drain, 3)})
    stores = waits.get("wait_store", 0.0) / latency
    text = "work waits until a tile that it overwrites is stored: give the stored tile a buffer of its own"
    yield stores, Bottleneck(id="store_wait", explanation=text, evidence={"wait_share": round(stores, 3)})
    for space in ("sbuf", "psum"):
        space_share = waits.get(f"wait_{space}_space", 0.0) / latency
        text = f"instructions wait for room in {space.upper()}: smaller tiles, or let them die sooner"
        yield (
            space_share,
            Bottleneck(id=f"{space}_space", explanation=text, evidence={"wait_share": round(space_share, 3)}),
        )


def _longest_wait(schedule: Mapping[str, Any], unit: str) -> str:
    """Of one line for another. Profiles that were measured do not know."""
    waits = schedule.get("waits", {}).get(unit)
    if not waits:
        return ""
    line, awaited, time = waits[0]
    return f" (longest: line {line} for line {awaited}, {time:.0f} ns in all)"


def _on_path(schedule: Mapping[str, Any], *units: str) -> float:
    """ns of these units on the chain that decides the latency: an engine that waits for another, which waits for DMA,
    waits for DMA. Where that chain is not known (a measured profile) there is no such limit."""
    path = schedule.get("path_ns")
    return sum(path.get(unit, 0.0) for unit in units) if path else float("inf")


def _dma_rules(schedule: Mapping[str, Any], latency: float) -> Iterator[Costed]:
    dma, busy = schedule["dma"], schedule["busy_ns"]["dma"] / latency
    if not dma["count"] or not dma["bytes"]:
        return
    average = dma["bytes"] / dma["count"]
    share = dma["small_run_bytes"] / dma["bytes"]
    if share >= SMALL_PIECES:
        text = "much of the data moves in contiguous pieces below 512 bytes, each of which costs extra: load wider rows"
        evidence = {"small_piece_share": round(share, 3), "dma_busy_share": round(busy, 3)}
        cost = min(share * busy, _on_path(schedule, "dma") / latency)
        yield cost, Bottleneck(id="small_pieces", explanation=text, evidence=evidence)
    waits = schedule["stalls_ns"].get(main_engine(schedule), {}).get("wait_load", 0.0) / latency
    if average < 32 * 1024 and dma["count"] > 4:
        text = "transfers are small, so that their fixed latency weighs: move at least 32 KiB at a time"
        evidence = {"average_bytes": round(average), "transfers": round(dma["count"])}
        yield waits, Bottleneck(id="small_transfers", explanation=text, evidence=evidence)


def _shape_rules(schedule: Mapping[str, Any], latency: float) -> Iterator[Costed]:
    short = schedule["short_ns"] / latency
    if short >= SHORT:
        text = "many instructions are at their least cost of 64 cycles: give each more elements per partition"
        yield short, Bottleneck(id="tiny_instructions", explanation=text, evidence={"short_share": round(short, 3)})
    fill = schedule["partition_fill"]
    unit = main_engine(schedule)
    busy = schedule["busy_ns"][unit] / latency
    if fill is not None and fill < FILL:
        text = "instructions use few of the 128 partitions, which are free: put more rows on the partition dimension"
        evidence = {"average_partitions": round(128 * fill, 1)}
        yield busy * (1 - fill), Bottleneck(id="few_partitions", explanation=text, evidence=evidence)
    wide = schedule["fp32_pe_ns"] / latency
    text = "products of float32 take four passes through the Tensor engine: bfloat16, where the tolerance allows it"
    yield wide * 0.75, Bottleneck(id="fp32_matmul", explanation=text, evidence={"share": round(wide, 3)})


def _reload_rule(schedule: Mapping[str, Any], latency: float, traffic: Sequence[Traffic]) -> Iterator[Costed]:
    worst = max(traffic, key=lambda entry: entry.reloads, default=None)
    moved = sum(entry.bytes_moved for entry in traffic)
    yield from _own_traffic(schedule, latency, traffic, moved)
    if worst is None or worst.reloads <= RELOADED or not moved:
        return
    excess = sum(max(0, entry.bytes_moved - entry.bytes_needed) for entry in traffic)
    waits = schedule["stalls_ns"].get(main_engine(schedule), {}).get("wait_load", 0.0)
    cost = max(waits, schedule["busy_ns"]["dma"] if schedule["busy_ns"]["dma"] > BOUND * latency else 0.0)
    text = f"{worst.tensor} is moved {worst.reloads:.1f} times: larger tiles, or keeping it in SBUF, save the reloads"
    evidence = {f"reloads_{entry.tensor}": round(entry.reloads, 2) for entry in traffic}
    yield cost / latency * excess / moved, Bottleneck(id="reload_traffic", explanation=text, evidence=evidence)


def _own_traffic(
    schedule: Mapping[str, Any], latency: float, traffic: Sequence[Traffic], moved: int
) -> Iterator[Costed]:
    """Tensors in HBM that are neither input nor output: what one step leaves there for the next."""
    tensors = {entry.tensor for entry in traffic}
    own = sum(sum(ways) for name, ways in schedule.get("traffic", {}).items() if name not in tensors)
    if not own or own < moved:  # with less, the reloads of inputs are the greater evil
        return
    share = own / (own + moved)
    text = (
        f"{share:.0%} of the bytes moved belong to tensors that the kernel itself keeps in HBM between its steps: go "
        "through all steps with one block, on chip"
    )
    evidence = {"own_bytes": float(own), "bytes_of_inputs_and_outputs": float(moved)}
    cost = schedule["busy_ns"]["dma"] / latency * share
    yield cost, Bottleneck(id="reload_traffic", explanation=text, evidence=evidence)
