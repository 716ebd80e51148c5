"""Rules that turn counters into the bottlenecks a menu option can answer to.

Thresholds are shares of the cold call's cycles. A rule whose counters are missing says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..base import Bottleneck, Traffic

# Below, a cause is noise: removing it entirely would gain less than the simulator's own error.
NOTABLE = 0.04
ARRAY_BOUND = 0.85
UNIT_SATURATED = 0.6
RELOADED = 1.5
SMALL_KERNEL_CYCLES = 30_000
COLD_SHARE = 0.15
LINE_BYTES = 64
# Streaming 64x16 loads from DRAM reach 6.9 bytes per cycle on the RTL; from here on DRAM sets the pace.
DRAM_SATURATED_BYTES_PER_CYCLE = 4.5

# Executing less than this, Rocket is not what is too slow: it waits for room in a queue.
CPU_BUSY = 0.75
# From here on a kernel is as good as done.
NEAR_BOUND = 0.95

_STALLS = {
    "stall_wait_load": (
        "load_bound",
        "the array waits for operands that are still being loaded: move fewer bytes, load wider, or load earlier",
    ),
    "stall_wait_store": (
        "store_bound",
        "the array waits for results to be stored: the accumulator tile it needs next is still being moved out",
    ),
    "stall_wait_issue": (
        "issue_bound",
        "the array has nothing to do because the CPU has not issued commands yet: fewer instructions per command, "
        "unrolling, cheaper addresses",
    ),
    "stall_weights_alone": (
        "weights_alone",
        "weights move into the array with no compute beside them, 32 cycles a pair instead of 16, because the next "
        "preload and compute were not both queued when the last compute began: keep two pairs ahead of the array",
    ),
    "stall_bank_conflict_spad": (
        "bank_conflict_spad",
        "loads write the scratchpad bank that the array is reading: put operands and their prefetch in different banks",
    ),
    "stall_config_ex": ("config_drain", "config_ex drains the array each time: set it once, outside the loops"),
    "stall_fence": (
        "fence",
        "fences keep the CPU from issuing commands: leave out all that order does not need",
    ),
}


_UNUSED = "the array computes nothing: the CPU does all the work; move the multiplications to preload and compute"
_BLOCKED = (
    "the array has nothing to do while the CPU stands before a full queue: a burst of loads or stores holds up "
    "the pairs behind it (8 loads, 4 stores fit): spread them between the pairs"
)


def find_bottlenecks(
    counters: Mapping[str, int],
    cycles: int,
    warm_cycles: float | None,
    bound_cycles: float | None,
    traffic: Sequence[Traffic],
) -> tuple[Bottleneck, ...]:
    """Most costly first; never empty, for something always limits a kernel."""
    array = counters.get("array_busy_cycles")
    if array == 0:  # whatever else the counters say of such a kernel, it is not what to mend
        return (Bottleneck(id="array_unused", explanation=_UNUSED, evidence={"array_busy_cycles": 0}),)
    rules = (
        *_stall_rules(counters, cycles),
        *_dependency_rule(counters, cycles),
        *_bank_wait_rule(counters, cycles),
        *_reload_rule(counters, cycles, traffic),
        *_dram_rule(counters, cycles),
        *_zero_fill_rule(counters, cycles),
        *_startup_rule(cycles, warm_cycles),
    )
    found = [entry for entry in rules if entry[0] >= NOTABLE]
    found.sort(key=lambda entry: (-entry[0], entry[1].id))
    bottlenecks = [bottleneck for _, bottleneck in found]
    if array is not None and (array / cycles >= ARRAY_BOUND or not bottlenecks):
        bottlenecks.insert(0, _array_bound(array, cycles, bound_cycles))
    return tuple(bottlenecks)


Costed = tuple[float, Bottleneck]  # share of the cycles that the cause costs, at most


def _stall_rules(counters: Mapping[str, int], cycles: int) -> Iterator[Costed]:
    for counter, (name, explanation) in _STALLS.items():
        share = counters.get(counter, 0) / cycles
        evidence = {"stall_share": round(share, 3)}
        if name == "issue_bound" and "instret" in counters:
            busy = counters["instret"] / cycles  # one instruction per cycle when it does not wait
            evidence["cpu_busy_share"] = round(busy, 3)
            if busy < CPU_BUSY:
                explanation = _BLOCKED
        unit = {"load_bound": "load_busy_cycles", "store_bound": "store_busy_cycles"}.get(name, "")
        if unit in counters:
            evidence["unit_busy_share"] = round(counters[unit] / cycles, 3)
        yield share, Bottleneck(id=name, explanation=explanation, evidence=evidence)


def _dependency_rule(counters: Mapping[str, int], cycles: int) -> Iterator[Costed]:
    full = counters.get("stall_array_full", 0)
    share = (counters.get("stall_dependency", 0) + full) / cycles
    if full / cycles >= NOTABLE:
        explanation = (
            "the array holds as many products as it can: computes of a few rows take as long to leave as those of 16, "
            "so give each compute 16 rows"
        )
    else:
        explanation = (
            "commands wait for their own predecessors: rotate over several tiles or buffers, so that neighbours do not "
            "depend on each other"
        )
    evidence = {"stall_share": round(share, 3), "array_full_share": round(full / cycles, 3)}
    yield share, Bottleneck(id="dependency", explanation=explanation, evidence=evidence)


def _bank_wait_rule(counters: Mapping[str, int], cycles: int) -> Iterator[Costed]:
    """The array's results always win a bank; others' rows wait, which costs only what the array then waits for them."""
    stores, loads = counters.get("store_bank_wait_cycles", 0), counters.get("load_bank_wait_cycles", 0)
    cost = min(stores, counters.get("stall_wait_store", 0)) + min(loads, counters.get("stall_wait_load", 0))
    explanation = (
        "stores or fills wait for the accumulator bank that the array is writing, and the array then waits for them: "
        "alternate between the two banks"
    )
    evidence = {"store_wait_share": round(stores / cycles, 3), "load_wait_share": round(loads / cycles, 3)}
    yield cost / cycles, Bottleneck(id="bank_conflict_acc", explanation=explanation, evidence=evidence)


def _reload_rule(counters: Mapping[str, int], cycles: int, traffic: Sequence[Traffic]) -> Iterator[Costed]:
    """Bytes moved more often than needed count as far as loading holds up the array."""
    excess = sum(max(0, entry.bytes_moved - entry.bytes_needed) for entry in traffic)
    moved = sum(entry.bytes_moved for entry in traffic)
    worst = max(traffic, key=lambda entry: entry.reloads, default=None)
    if worst is None or worst.reloads <= RELOADED or not moved:
        return
    waits = counters.get("stall_wait_load", 0) + counters.get("stall_bank_conflict_spad", 0)
    evidence = {f"reloads_{entry.tensor}": round(entry.reloads, 2) for entry in traffic}
    explanation = (
        f"{worst.tensor} is moved {worst.reloads:.1f} times: larger tiles, or keeping it on chip, save the reloads"
    )
    yield waits / cycles * excess / moved, Bottleneck(id="reload_traffic", explanation=explanation, evidence=evidence)


def _dram_rule(counters: Mapping[str, int], cycles: int) -> Iterator[Costed]:
    misses = counters.get("l2_misses")
    if misses is None:
        return
    rate = misses * LINE_BYTES / cycles
    if rate >= DRAM_SATURATED_BYTES_PER_CYCLE:
        waits = counters.get("stall_wait_load", 0) + counters.get("stall_wait_store", 0)
        explanation = "DRAM sets the pace (7 bytes per cycle at best): fetch each byte once and in whole lines"
        evidence = {"dram_bytes_per_cycle": round(rate, 2), "l2_misses": misses}
        yield waits / cycles, Bottleneck(id="dram_bound", explanation=explanation, evidence=evidence)


def _zero_fill_rule(counters: Mapping[str, int], cycles: int) -> Iterator[Costed]:
    rows = counters.get("zero_fill_rows")  # one cycle of the load unit each
    if not rows:
        return
    explanation = "accumulator tiles are zeroed before each sum: let the first compute overwrite (ACC) instead"
    evidence = {"zero_fill_rows": rows, "zero_fill_share": round(rows / cycles, 3)}
    yield rows / cycles, Bottleneck(id="accumulator_zero_fill", explanation=explanation, evidence=evidence)


def _startup_rule(cycles: int, warm_cycles: float | None) -> Iterator[Costed]:
    if warm_cycles is None or cycles > SMALL_KERNEL_CYCLES:
        return
    share = (cycles - warm_cycles) / cycles
    if share >= COLD_SHARE:
        explanation = "a short kernel: first touches of code and data weigh; less code, early first loads"
        evidence = {"cold_cycles": cycles, "warm_cycles": warm_cycles, "cold_share": round(share, 3)}
        yield share, Bottleneck(id="startup", explanation=explanation, evidence=evidence)


def _array_bound(busy: int, cycles: int, bound_cycles: float | None) -> Bottleneck:
    evidence = {"array_busy_share": round(busy / cycles, 3)}
    if bound_cycles is None:
        why = "the array works most of the time; how much of that is needed is not known of this problem"
        return Bottleneck(id="array_bound", explanation=why, evidence=evidence)
    evidence["utilisation"] = round(bound_cycles / cycles, 3)
    if bound_cycles / cycles < 0.9 * busy / cycles:
        why = "the array works nearly all the time, partly on padding: fill its 16 rows and columns"
    elif bound_cycles / cycles < NEAR_BOUND:
        why = "the array works most of the time; what is left to gain is in the causes below"
    else:
        why = "the array works nearly all the time: little is left to gain on this machine"
    return Bottleneck(id="array_bound", explanation=why, evidence=evidence)
