"""Menu options as mechanical changes of a schedule: option id -> variants -> new source.

A variant changes what its option names and, where that alone would be illegal or would not fit, the least besides;
its summary then says so. Variants come most promising first and depend on nothing but the problem and the source.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..schedules import Kernels, Rewrites
from . import conv_emit, conv_schedule, conv_variants, emit, schedule, variants
from .conv import FAMILY as CONV_FAMILY
from .conv import Conv
from .conv_schedule import ConvSchedule
from .families import operator_of
from .problems import FAMILY as GEMM_FAMILY
from .problems import Gemm
from .schedule import Schedule
from .variants import even_tile


def _concessions(gemm: Gemm, s: Schedule, asked: dict[str, object]) -> Iterator[tuple[Schedule, str]]:
    """The schedule itself, then ever smaller ones. What the variant asked for by name is kept to the end."""
    yield s, ""
    panel = "panel" in (s.a_keep, s.b_keep)
    if "tk" not in asked and not panel:
        for tk in (256, 128, 64, 32):
            if tk < s.tk:
                yield s.with_(tk=tk), f" (tile depth reduced to tk={tk} to fit)"
    # the longer side of the C tile gives way first
    for side, whole in sorted((("tj", gemm.n), ("ti", gemm.m)), key=lambda pair: -getattr(s, pair[0])):
        for size in (even_tile(whole, limit) for limit in (128, 64, 32)):
            if side not in asked and size < getattr(s, side):
                yield s.with_(**{side: size}), f" (tile reduced to {side}={size} to fit)"
    if s.placement == "banked" and "placement" not in asked:
        yield s.with_(placement="split"), " (buffers of one operand now share banks, to fit)"


def _conv_concessions(conv: Conv, s: ConvSchedule, asked: dict[str, object]) -> Iterator[tuple[ConvSchedule, str]]:
    """As for a GEMM: banks shared, then steps of fewer channels, then fewer output channels or rows."""
    yield s, ""
    packed = s if "placement" in asked else s.with_(placement="packed")
    yield packed, " (buffers share banks, to fit)"
    for divide in (2, 4, 8):
        if "tk" not in asked:
            smaller = packed.with_(tk=max(schedule.DIM, s.tk // divide // schedule.DIM * schedule.DIM)).fitted(conv)
            yield smaller, f" (steps of {smaller.tk} channels to fit)"
    for divide in (2, 4, 8):
        if "tj" not in asked:
            smaller = packed.with_(tj=max(schedule.DIM, s.tj // divide // schedule.DIM * schedule.DIM)).fitted(conv)
            yield smaller, f" (C tiles of {smaller.tj} channels to fit)"
        if "ty" not in asked:
            smaller = packed.with_(ty=conv_schedule.divisor(conv.out_height, max(1, s.ty // divide)), images=1)
            yield smaller, f" (C tiles of {smaller.ty} rows to fit)"


GEMM = Kernels[Gemm, Schedule](
    options=variants.OPTIONS,
    parse=lambda gemm, source: schedule.parse_line(source).fitted(gemm),
    changed=lambda gemm, s, fields: s.with_(**fields).fitted(gemm),
    emit=emit.emit,
    check=schedule.layout,
    concessions=_concessions,
)
CONV = Kernels[Conv, ConvSchedule](
    options=conv_variants.OPTIONS,
    parse=lambda conv, source: conv_schedule.parse_line(source).fitted(conv),
    changed=lambda conv, s, fields: s.with_(**fields).fitted(conv),
    emit=conv_emit.emit,
    check=conv_schedule.layout,
    concessions=_conv_concessions,
)
REWRITES = Rewrites({GEMM_FAMILY: GEMM, CONV_FAMILY: CONV}, operator_of)
