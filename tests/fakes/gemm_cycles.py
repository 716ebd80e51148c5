"""What gemsim would say of a GEMM kernel made from a schedule, estimated in a third of a millisecond.

For benchmarks that need hundreds of thousands of kernels judged. The kernel's work on each unit (array, loads, stores,
issue, DRAM) is counted exactly, from the same classes that emit the kernel; how far the units overlap is a p-norm of
these times whose exponents depend on the schedule's choices (1: one after the other, infinite: the longest alone).
Constants were fitted to gemsim's cycles of 500 kernels of the offline tuner; on 650 others the median error is 5 %,
rank correlation 0.88 to 0.95 on each published shape (`python tests/benchmarks/estimated_cycles.py`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import NamedTuple

from autocomp_mcp.hardware_adapters.gemmini.families import operator_of
from autocomp_mcp.hardware_adapters.gemmini.moves import Moves
from autocomp_mcp.hardware_adapters.gemmini.problems import Gemm
from autocomp_mcp.hardware_adapters.gemmini.schedule import BANK_ROWS, DIM, Schedule, layout

# Cycles per command by columns: menus/references/gemmini/timing.md.
MVIN = {16: 18.0, 32: 34.0, 48: 80.0, 64: 64.0}
MVOUT = {16: 26.0, 32: 52.0, 48: 84.0, 64: 113.0}
ZERO_FILL = 16.5
L2_BYTES = 300_000  # of one operand, from which on it is fetched from DRAM again
NOTABLE = 0.04  # share of the cycles from which on a cause is named
ARRAY_BOUND = 0.85
UNEXPLAINED = 0.015  # deviation of what the estimate does not see, fixed for each schedule
BEST_UTILISATION = 0.985


class Constants(NamedTuple):
    """Fitted. Cycles, shares, and exponents of p-norms."""

    dram_line: float = 5.88
    refetched: float = 0.375  # of a large operand's lines, each time it is loaded again
    pair: float = 9.0  # CPU cycles per preload and compute, not unrolled
    pair_unrolled: float = 2.33
    pointer: float = 1.02
    edge_check: float = 3.5
    slot: float = 0.22
    move: float = 14.2  # CPU cycles per mvin or mvout
    config: float = 5.9
    same_bank: float = 1.26
    shared_banks: float = 0.045
    before: float = 1.03  # exponents: array and loads
    prefetch: float = 1.069
    interleave: float = 2.66
    fenced: float = 0.4
    store_after: float = 1.246  # exponents: these and stores
    store_two_tiles: float = 1.25
    store_interleave: float = 3.0
    store_early: float = 2.82
    store_fenced: float = 0.135
    issue: float = 3.33
    dram: float = 2.61
    fence_tile: float = 84.0
    fence_step: float = 120.0
    no_fence: float = 5.0
    dependency: float = 18.6
    start: float = 1000.0


FITTED = Constants()


class Work(NamedTuple):
    """Cycles that each unit needs by itself."""

    array: float
    conflicts: float  # of the array's, for banks
    load: float
    ahead: float  # share of `load` that comes one tile ahead
    excess: float  # share of `load` that only repeats earlier ones
    fill: float
    store: float
    issue: float
    config: float  # of `issue`
    dram: float
    fence: float
    dependency: float


class Verdict(NamedTuple):
    cycles: float
    utilisation: float
    bottlenecks: tuple[str, ...]


def work(gemm: Gemm, s: Schedule, p: Constants = FITTED) -> Work:
    """Raises ScheduleError."""
    where = layout(gemm, s)
    moves = Moves(gemm, s, where)
    rows, cols, depth = (-(-size // DIM) for size in (gemm.m, gemm.n, gemm.k))
    across = {"A": -(-gemm.n // s.tj), "B": -(-gemm.m // s.ti)}
    tiles, steps = across["A"] * across["B"], across["A"] * across["B"] * -(-gemm.k // s.tk)
    pairs = rows * cols * depth
    load = ahead = excess = lines = mvins = 0.0
    for operand, size in zip(moves.operands, ((gemm.m, gemm.k), (gemm.k, gemm.n)), strict=True):
        once = -(-size[0] // DIM) * -(-size[1] // operand.width)
        times = across[operand.name] if operand.keep == "tile" else 1
        cycles = once * times * MVIN[operand.width] * (1.1 if size[1] % 64 else 1.0)
        load += cycles
        ahead += cycles if operand.ahead else 0.0
        excess += cycles * (1 - 1 / times)
        mvins += once * times
        again = times - 1 if size[0] * size[1] > L2_BYTES else 0
        lines += size[0] * size[1] / 64 * (1 + again * p.refetched)
    mvouts = rows * -(-gemm.n // moves.c_width)
    lines += gemm.m * gemm.n / 64
    fills = rows * cols if s.init == "zero" else 0
    array = 16.0 * pairs
    used = where.a_rows * s.a_buffers + where.b_rows * s.b_buffers
    if s.placement == "packed" and used <= BANK_ROWS and not s.weight_reuse:
        conflicts = array * p.same_bank
    else:
        conflicts = array * p.shared_banks * {"packed": 1.0, "split": 0.5, "banked": 0.0}[s.placement]
    pair = p.pair * (p.pointer if s.addressing == "pointer" else 1.0)
    pair = p.pair_unrolled + (pair - p.pair_unrolled) / s.unroll_inner
    if moves.partial and s.edges == "checked":
        pair += p.edge_check
    if moves.interleaved or moves.stores_interleaved:
        innermost = {"i": moves.i, "j": moves.j, "k": moves.k}[s.inner[2]].blocks
        pair += p.slot / max(1.0, innermost / 2)
    config = (mvins + fills) * (p.config if s.config == "each" else 0.0)
    fence = {"all": 2 * p.fence_step * steps, "step": p.fence_step * steps,
             "tile": p.fence_tile * tiles, "none": p.no_fence * tiles}[s.fences]  # fmt: skip
    return Work(
        array=array,
        conflicts=conflicts,
        load=load,
        ahead=ahead / load,
        excess=excess / load,
        fill=ZERO_FILL * fills,
        store=mvouts * MVOUT[moves.c_width],
        issue=pairs * pair + (mvins + fills + mvouts) * p.move + config,
        config=config,
        dram=lines * p.dram_line,
        fence=fence,
        dependency=p.dependency * steps * (2 if s.loads == "before" else 1),
    )


def cycles(w: Work, s: Schedule, p: Constants = FITTED) -> float:
    loads = {"before": p.before, "prefetch": p.prefetch, "interleave": p.interleave}[s.loads]
    if s.fences in ("all", "step"):
        loads = 1 + (loads - 1) * p.fenced
    loads = p.before + (loads - p.before) * w.ahead
    stores = {"interleave": p.store_interleave, "early": p.store_early}.get(
        s.stores, p.store_two_tiles if s.c_buffers == 2 else p.store_after
    )
    if s.fences != "none" and s.stores != "interleave":
        stores = 1 + (stores - 1) * p.store_fenced
    total = _norm(loads, w.array + w.conflicts, w.load + w.fill)
    total = _norm(stores, total, w.store)
    total = _norm(p.issue, total, w.issue)
    return _norm(p.dram, total, w.dram) + w.fence + w.dependency + p.start


def _norm(exponent: float, one: float, other: float) -> float:
    top, low = max(one, other), min(one, other)
    return top * (1 + (low / top) ** exponent) ** (1 / exponent) if top > 0 else 0.0


@lru_cache(maxsize=100_000)
def judged(problem: str, schedule: Schedule) -> Verdict:
    """With bottlenecks named as the profile names them, by what the estimate loses when the cause is taken away."""
    gemm = operator_of(problem)
    assert isinstance(gemm, Gemm)
    s = schedule.fitted(gemm)
    w = work(gemm, s)
    total = cycles(w, s)
    without = {
        "load_bound": w._replace(load=0.0),
        "reload_traffic": w._replace(load=w.load * (1 - w.excess)),
        "bank_conflict_spad": w._replace(conflicts=0.0),
        "accumulator_zero_fill": w._replace(fill=0.0),
        "store_bound": w._replace(store=0.0),
        "issue_bound": w._replace(issue=w.issue * 0.1),
        "config_drain": w._replace(issue=w.issue - w.config),
        "dram_bound": w._replace(dram=0.0),
        "fence": w._replace(fence=0.0),
        "dependency": w._replace(dependency=0.0),
    }
    shares = {name: 1 - cycles(less, s) / total for name, less in without.items()}
    named = sorted((name for name in shares if shares[name] >= NOTABLE), key=lambda name: -shares[name])
    if 16.0 * (gemm.m * gemm.n * gemm.k / DIM**3) / total >= ARRAY_BOUND or not named:
        named.insert(0, "array_bound")
    unseen = Random(f"{problem}/{s.model_dump_json()}").gauss(0.0, UNEXPLAINED)
    ideal = gemm.macs / DIM**2
    shown = max(total * math.exp(unseen), ideal / BEST_UTILISATION)
    return Verdict(cycles=float(round(shown)), utilisation=ideal / round(shown), bottlenecks=tuple(named))
