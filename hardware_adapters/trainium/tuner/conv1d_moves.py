"""Menu options as changes of a depthwise convolution's schedule, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...schedules import Change, Kernels, fields_on_first_line, validated
from ..conv1d import Conv1d
from ..operators import PARTITIONS
from .conv1d import MARK, ConvSchedule, check, emit

Moves = Callable[[Conv1d, ConvSchedule], Iterator[Change]]


def _hoist(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.taps == "piece":
        yield Change("taps", "All filters are loaded once, before the loops", {"taps": "once"})


def _wider(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    outputs = c.dims["W"] - c.dims["F"] + 1
    for width in dict.fromkeys((outputs, -(-outputs // 2), -(-outputs // 4), 1024, 512, 256)):
        if s.width < width <= outputs:
            whole = " (whole rows)" if width == outputs else ""
            yield Change(f"width{width}", f"Pieces of {width} outputs{whole}", {"width": width})


def _row(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.data != "row":
        yield Change("row", "A whole row is loaded once; all its pieces and taps take slices", {"data": "row"})


def _shifted(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.data == "tap":
        yield Change("piece", "A piece is loaded once, with its overlap; taps take shifted slices", {"data": "piece"})
    yield from _row(c, s)


def _widen(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    yield from _row(c, s)
    yield from _wider(c, s)


def _first(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.first == "clear":
        for engine, name in (("vector", "Vector"), ("scalar", "Scalar")):
            text = f"The first product is written to the sum by the {name} engine; nothing is cleared"
            yield Change(engine, text, {"first": engine})


def _fused(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.add == "two":
        yield Change("taps", "A tap's product and sum are one instruction", {"add": "fused"})


def _idle(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    names = {"scalar": "the Scalar engine", "gpsimd": "GpSimd", "vector": "the Vector engine"}
    for engine, name in names.items():
        if s.first not in ("clear", engine):
            yield Change(f"first-{engine}", f"The first product is computed by {name}", {"first": engine})
    for engine, name in names.items():
        if s.add == "fused" or s.product_engine != engine:
            text = f"Products are computed by {name}, sums by the Vector engine"
            yield Change(f"products-{engine}", text, {"add": "two", "product_engine": engine})


def _balance(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    for engines, text in (
        ("alternate", "Every second piece is summed by GpSimd"),
        ("third", "Every third piece is summed by GpSimd"),
        ("one", "The Vector engine sums all pieces"),
    ):
        if s.engines != engines:
            yield Change(engines, text, {"engines": engines})


def _fill(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.rows == "channels" and c.dims["C"] % PARTITIONS:
        text = "Rows of several images fill the 128 partitions"
        yield Change("images", text, {"rows": "flat"})


def _early(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    for parts in (2, 4):
        width = -(-(c.dims["W"] - c.dims["F"] + 1) // parts)
        if 128 <= width < s.width:
            text = f"Pieces of {width} outputs, stored as they are finished"
            yield Change(f"width{width}", text, {"width": width})


def _own(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if not s.separate_results and c.dims["F"] > 1:
        text = "The last sum is written to a tile of its own, which is stored"
        yield Change("results", text, {"separate_results": True})


def _shrink(c: Conv1d, s: ConvSchedule) -> Iterator[Change]:
    if s.separate_results:
        yield Change("in-place", "Sums grow in one tile", {"separate_results": False})
    if s.data == "row":
        yield Change("pieces", "The input is loaded in pieces", {"data": "piece"})
    yield from _early(c, s)


OPTIONS: Mapping[str, Moves] = {
    "hoist-invariant-loads": _hoist,
    "longer-instructions": _wider,
    "shifted-slices-of-one-tile": _shifted,
    "widen-transfers": _widen,
    "long-contiguous-pieces": _widen,
    "first-term-overwrites": _first,
    "scalar-tensor-tensor": _fused,
    "move-work-to-idle-engine": _idle,
    "balance-tiles-between-engines": _balance,
    "fill-128-partitions": _fill,
    "store-early-in-pieces": _early,
    "separate-tiles-per-iteration": _own,
    "shrink-live-tiles": _shrink,
}


def _concessions(c: Conv1d, s: ConvSchedule, asked: dict[str, object]) -> Iterator[tuple[ConvSchedule, str]]:
    """The schedule itself, then shorter pieces."""
    yield s, ""
    if "data" not in asked and s.data == "row":
        yield s.with_(data="piece").fitted(c), " (the input loaded in pieces, to fit)"
    for width in (4096, 2048, 1024, 512):
        if "width" not in asked and width < s.width:
            yield s.with_(width=width).fitted(c), f" (pieces of {width} outputs, to fit)"


KERNELS = Kernels[Conv1d, ConvSchedule](
    options=OPTIONS,
    parse=lambda conv, source: validated(ConvSchedule, fields_on_first_line(source, MARK)).fitted(conv),
    changed=lambda conv, s, fields: s.with_(**fields).fitted(conv),
    emit=emit,
    check=check,
    concessions=_concessions,
)
