"""What a staged matrix product from a schedule will be counted to do: to order schedules before any is run.

Of one block in the middle of the result; blocks at the edges do less, which is left out. The engine's own estimate is
then asked what that takes, so that what it holds to be costly is avoided here too.
"""

from __future__ import annotations

import math
from collections import Counter

from ..counts import LaunchCounts, Site
from ..estimate import estimate
from ..machines import SECTOR_BYTES, WARP, Machine
from ..matrices import Gemm
from ..nvcc import KernelFacts
from .sgemm_schedule import SgemmSchedule

FLOATS = SECTOR_BYTES // 4
BANKS = 32
# Registers besides the sums and what is being moved: addresses, counters. About what ptxas gives these kernels.
OTHER_REGISTERS = 48


def expected_ns(gemm: Gemm, schedule: SgemmSchedule, machine: Machine) -> float:
    """Latency by the engine's estimate, of the counts below."""
    s = schedule
    moved = (s.bm + s.bn) * s.bk // s.threads
    registers = min(255, OTHER_REGISTERS + s.tm * s.tn + s.tm + s.tn + moved)
    facts = {"product": KernelFacts(registers, s.shared_bytes, 0, 0, 0)}
    return estimate(gemm, (counts(gemm, schedule),), facts, machine).latency_ns


def counts(gemm: Gemm, s: SgemmSchedule) -> LaunchCounts:
    m, n, k = gemm.dims.values()
    tiles, warps = math.ceil(k / s.bk), math.ceil(s.threads / WARP)
    steps = tiles * s.bk
    sites = [
        *_staging("A", s.bm, s.bk, k, s.width(k), s, tiles),
        *_staging("B", s.bk, s.bn, n, s.width(n), s, tiles),
        *(
            _shared("load", 4 * s.reads, warps * steps * count // s.reads, passes)
            for count, passes in ((s.tm, _reading(s, "y")), (s.tn, _reading(s, "x")))
        ),
        _storing(s, n, warps),
    ]
    grid = math.ceil(m / s.bm) * math.ceil(n / s.bn)
    read, written = round(s.bm * _sectors(k, k) + k * _sectors(s.bn, n)), round(s.bm * _sectors(s.bn, n))
    return LaunchCounts(
        "product", None, (grid, 1, 1), (s.threads, 1, 1), s.shared_bytes, 0, 1,
        tiles + 1 if s.stages == 2 else 2 * tiles,
        read, written, 0, 0, read + written, tuple(sites),
    )  # fmt: skip


def _sectors(floats: int, pitch: int) -> float:
    """That `floats` floats of a row touch, rows `pitch` floats apart: one more where rows begin within sectors."""
    return floats / FLOATS if floats % FLOATS == 0 and pitch % FLOATS == 0 else (floats - 1) / FLOATS + 1


def _staging(
    operand: str, rows: int, columns: int, pitch: int, width: int, s: SgemmSchedule, tiles: int
) -> tuple[Site, Site]:
    """Loading a tile and keeping it in shared memory."""
    accesses = rows * columns // width
    requests = tiles * math.ceil(accesses / WARP)
    side_by_side = min(WARP * width, columns)
    sectors = WARP * width / side_by_side * _sectors(side_by_side, pitch)
    ideal = WARP * width // FLOATS
    load = Site(
        1, "product", "global", "load", 4 * width, requests, round(requests * sectors), requests * ideal, 0, 0,
        requests * WARP,
    )  # fmt: skip

    def place(lane: int) -> int:
        row, column = lane * width // columns, lane * width % columns
        if operand == "B":
            return row * s.bn + column
        return column * (s.bm + s.pad) + row if s.turned else row * (s.bk + s.pad) + column

    places = [place(lane) for lane in range(WARP)]
    if operand == "A":
        return load, _shared("store", 4, requests * width, passes(places, 1))
    return load, _shared("store", 4 * width, requests, passes(places, width))


def _storing(s: SgemmSchedule, pitch: int, warps: int) -> Site:
    width = s.reads if pitch % s.reads == 0 else 1
    requests = warps * s.tm * s.tn // width
    ideal = WARP * width // FLOATS
    sectors = ideal * s.reads // width  # single floats of four that lie together
    return Site(
        1, "product", "global", "store", 4 * width, requests, requests * sectors, requests * ideal, 0, 0,
        requests * WARP,
    )  # fmt: skip


def _reading(s: SgemmSchedule, axis: str) -> int:
    """Passes of one read of a tile: by place of the thread along the axis."""
    step = s.reads * (1 if s.turned or axis == "x" else s.bk + s.pad)
    return passes([step * (x if axis == "x" else y) for x, y in s.lane_places()], s.reads, load=True)


def _shared(op: str, width: int, requests: int, each: int) -> Site:
    ideal = requests * max(1, width // 4)
    return Site(1, "product", "shared", op, width, requests, 0, 0, requests * each, ideal, requests * WARP)  # type: ignore[arg-type]


def passes(places: list[int], width: int, load: bool = False) -> int:
    """Through the banks, of a warp whose lanes access `width` floats from these on; as the emulator counts them."""
    parts = width
    if load and width > 1 and any(all(places[n] == places[n ^ step] for n in range(WARP)) for step in (1, 2)):
        parts //= 2
    per, found = WARP // parts, 0
    for first in range(0, WARP, per):
        words = {place + i for place in places[first : first + per] for i in range(width)}
        found += max(Counter(word % BANKS for word in words).values())
    return found
