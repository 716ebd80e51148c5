"""Whole plans for a convolution: tile, what stays on chip and buffers together, loads and stores beside the products.

Single steps towards such a plan pay little or nothing by themselves, so that a search finds it late. Plans are ordered
by an estimate of their cycles, which only has to put good ones in front: the simulator judges them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ..schedules import ScheduleError
from .conv import Conv
from .conv_schedule import ConvSchedule, blocks, divisor, layout
from .schedule import ACC_BANK_ROWS, DIM

# Of the estimate, from gemsim's runs of emitted kernels on the 3x3 layers of ResNet-50.
GROUP_CYCLES = 7  # of the array between two blocks of weights
GROUP_INSTRUCTIONS = 30  # of Rocket for each block of weights
PAIR_INSTRUCTIONS = 5.5
MOVE_INSTRUCTIONS = 35
TAP_INSTRUCTIONS = 30
ROCKET_CPI = 1.15
DRAM_BYTES_PER_CYCLE = 6
SHARED_BANKS = 1.01  # moves and products meet in a bank

_PIPELINED: dict[str, object] = {
    "taps": "band", "loads": "interleave", "stores": "interleave", "c_buffers": 2, "a_width": 64, "b_width": 64,
    "weight_reuse": True, "inner": "qkj", "start": "taps", "config": "once", "fences": "none", "addressing": "word",
}  # fmt: skip
SHAPE = (
    "ty", "images", "tj", "tk", "order", "a_keep", "a_buffers", "b_keep", "b_buffers", "merge", "phases", "placement",
)  # fmt: skip
_RESIDENCY: tuple[dict[str, object], ...] = (
    {"order": "yj", "a_keep": "panel", "a_buffers": 2, "b_keep": "all", "b_buffers": 1},
    {"order": "yj", "a_keep": "panel", "a_buffers": 2, "b_keep": "tile", "b_buffers": 2},
    {"order": "yj", "a_keep": "panel", "a_buffers": 1, "b_keep": "tile", "b_buffers": 2},
    {"order": "yj", "a_keep": "tile", "a_buffers": 2, "b_keep": "all", "b_buffers": 1},
    {"order": "yj", "a_keep": "tile", "a_buffers": 2, "b_keep": "tile", "b_buffers": 2},
    {"order": "jy", "a_keep": "tile", "a_buffers": 2, "b_keep": "panel", "b_buffers": 1},
)


def plans(conv: Conv) -> list[ConvSchedule]:
    """Pipelined schedules that fit, the fastest by the estimate first; of those that differ in placement only, one."""
    found: dict[ConvSchedule, tuple[float, ConvSchedule]] = {}
    for shape in _shapes(conv):
        for placement in ("banked", "packed"):
            s = shape.with_(placement=placement)
            try:
                layout(conv, s)
            except ScheduleError:
                continue
            found.setdefault(shape, (estimate(conv, s), s))
    return [s for _, s in sorted(found.values(), key=lambda entry: entry[0])]


def is_pipelined(s: ConvSchedule) -> bool:
    return s.loads == s.stores == "interleave" and s.weight_reuse and s.fences == "none"


def _shapes(conv: Conv) -> Iterator[ConvSchedule]:
    init = "overwrite" if not conv.bias and 2 * conv.padding < conv.kernel else "ahead"
    phases = 1 < conv.stride <= conv.kernel
    wide = conv.out_width + (conv.kernel - 1) // conv.stride if phases else conv.width + conv.padding
    merges = {1, min(DIM // wide, conv.out_height) if phases or conv.stride == 1 else 1} - {0}
    depths = sorted({divisor(blocks(conv.channels_in), n) * DIM for n in (1, 2, 4, 8)})
    seen: set[ConvSchedule] = set()
    for tj in sorted({divisor(blocks(conv.channels_out), n) * DIM for n in (1, 2, 4, 8)}):
        for (ty, images), merge in product(_bands(conv, tj), merges):
            for residency, tk in product(_RESIDENCY, depths):
                choice = {**_PIPELINED, **residency, "init": init, "ty": ty, "images": images, "tj": tj, "tk": tk}
                choice |= {"merge": merge, "phases": phases and merge > 1, "unroll": 4 if ty > 3 * merge else 1}
                if conv.out_width > 2 * DIM and ty > conv.padding + merge:
                    choice["slots"] = "rows"
                s = ConvSchedule.model_validate(choice).fitted(conv)
                useless = s.a_keep == "panel" and s.a_buffers == 2 and ty * conv.batch == conv.out_height * images
                if s not in seen and not useless:
                    seen.add(s)
                    yield s


def _bands(conv: Conv, tj: int) -> Iterator[tuple[int, int]]:
    """Rows and images of C tiles that fill one half of the accumulator, and half as large."""
    room = ACC_BANK_ROWS // (conv.out_width * tj // DIM)
    images = divisor(conv.batch, max(1, room // conv.out_height))
    if images > 1:
        yield conv.out_height, images
    for most in (room, room // 2):
        if most:
            yield divisor(conv.out_height, min(most, conv.out_height)), 1


def estimate(conv: Conv, s: ConvSchedule) -> float:
    """Cycles of a pipelined schedule: the busiest of array, Rocket and DRAM, and a little of the others."""
    where = layout(conv, s)
    bands = conv.batch // s.images * -(-conv.out_height // s.ty)
    across = -(-blocks(conv.channels_out) * DIM // s.tj)
    groups = bands * across * s.tj // DIM * conv.kernel**2 * blocks(conv.channels_in)
    # Taps at the border reach fewer outputs: of all rows, and of all columns unless zeros stand beside them.
    reach = [_reached(conv, tap, conv.height, conv.out_height) for tap in range(conv.kernel)]
    high = sum(reach) / conv.kernel / conv.out_height
    reach = [_reached(conv, tap, conv.width, conv.out_width) for tap in range(conv.kernel)]
    wide = sum(reach) / conv.kernel if s.merge == 1 else where.c_pitch
    pairs = s.images * -(-s.ty * high // s.merge) * (-(-conv.out_width // DIM) if s.merge == 1 else 1)
    array = groups * (s.images * s.ty * high * wide + GROUP_CYCLES)

    a_loads = across if s.a_keep == "tile" else 1
    b_loads = bands if s.b_keep == "tile" else 1
    lines = (s.ty - 1) * conv.stride + conv.kernel
    a_bytes = bands * s.images * lines * conv.width * conv.channels_in * a_loads
    b_bytes = conv.kernel**2 * conv.channels_in * conv.channels_out * b_loads
    out_bytes = conv.batch * conv.out_height * conv.out_width * conv.channels_out
    moves = (a_bytes / min(64, s.tk) + b_bytes / min(64, s.tj) + out_bytes / DIM) / DIM
    taps = bands * across * conv.kernel**2 * -(-blocks(conv.channels_in) * DIM // s.tk)
    instructions = groups * (GROUP_INSTRUCTIONS + pairs * PAIR_INSTRUCTIONS) + taps * TAP_INSTRUCTIONS
    rocket = (instructions + moves * MOVE_INSTRUCTIONS) * ROCKET_CPI
    dram = (a_bytes + b_bytes + out_bytes) / DRAM_BYTES_PER_CYCLE
    together = (array**4 + rocket**4 + dram**4) ** 0.25
    return together * (SHARED_BANKS if s.placement == "packed" else 1.0)


def _reached(conv: Conv, tap: int, size: int, outs: int) -> int:
    """Outputs along one side that a tap reaches."""
    return sum(0 <= out * conv.stride + tap - conv.padding < size for out in range(outs))
