"""Menu options as changes of an RMSNorm's schedule, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...schedules import Change, Kernels, fields_on_first_line, validated
from ..norms import Norm
from .rmsnorm import MARK, NormSchedule, check, emit

Moves = Callable[[Norm, NormSchedule], Iterator[Change]]


def _hoist(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.gain == "each":
        yield Change("gain", "The gain is loaded onto all partitions once, before the loop", {"gain": "once"})


def _product(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.gain != "product":
        text = "The gain's row is loaded once and spread by a product with ones"
        yield Change("gain", text, {"gain": "product"})


def _widen(n: Norm, s: NormSchedule) -> Iterator[Change]:
    for group in (4, 2, 8, 16):
        if group > s.group:
            text = f"{group} rows per partition and transfer, {4 * group * n.dims['C']} bytes that lie together"
            yield Change(f"rows{group}", text, {"group": group})


def _reduce(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.squares != "reduce":
        text = "Squares and their sum come out of one activation_reduce of the Scalar engine"
        yield Change("squares", text, {"squares": "reduce"})


def _square(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.squares == "vector":
        yield Change("activation", "Squares are computed by the Scalar engine", {"squares": "scalar"})


def _fuse(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.factor == "separate":
        yield Change("rsqrt", "Mean and epsilon are scale and bias of rsqrt", {"factor": "fused"})


def _one_instruction(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.apply == "two":
        yield Change("apply", "Rows times factor times gain by one instruction", {"apply": "fused"})


def _engines(n: Norm, s: NormSchedule) -> Iterator[Change]:
    two: dict[str, object] = {"apply": "two"}
    for engine, name in (("scalar", "the Scalar engine"), ("gpsimd", "GpSimd"), ("vector", "the Vector engine")):
        if engine != s.scale_engine or s.apply == "fused":
            yield Change(f"scale-{engine}", f"The factor is applied by {name}", {**two, "scale_engine": engine})
    for engine, name in (("gpsimd", "GpSimd"), ("vector", "the Vector engine")):
        if engine != s.gain_engine or s.apply == "fused":
            yield Change(f"gain-{engine}", f"The gain is applied by {name}", {**two, "gain_engine": engine})
    if s.squares != "vector":
        yield Change("squares-vector", "Squares and sums are computed by the Vector engine", {"squares": "vector"})


def _balance(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.gain_engine != "both":
        for engine in dict.fromkeys(("scalar", s.scale_engine)):
            text = f"The gain is applied by Vector engine and GpSimd in turn, the factor by {engine}"
            yield Change(f"gain-{engine}", text, {"apply": "two", "gain_engine": "both", "scale_engine": engine})


def _shrink(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if not s.in_place:
        yield Change("in-place", "Results overwrite the rows that were loaded", {"in_place": True})
    for group in (1, 2, 4):
        if group < s.group:
            yield Change(f"rows{group}", f"{group} rows per partition and transfer", {"group": group})


def _own_tiles(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.in_place:
        yield Change("results", "Results have tiles of their own: loads need not wait for stores", {"in_place": False})


def _store_early(n: Norm, s: NormSchedule) -> Iterator[Change]:
    for pieces in (2, 4):
        if pieces > s.pieces:
            text = f"Rows are finished and stored in {pieces} parts"
            yield Change(f"parts{pieces}", text, {"pieces": pieces, "group": 1})


def _longer(n: Norm, s: NormSchedule) -> Iterator[Change]:
    if s.pieces > 1:
        yield Change("rows", "Rows are finished by one instruction and stored whole", {"pieces": 1})


OPTIONS: Mapping[str, Moves] = {
    "hoist-invariant-loads": _hoist,
    "broadcast-row-by-product": _product,
    "widen-transfers": _widen,
    "long-contiguous-pieces": _widen,
    "reduce-within-activation": _reduce,
    "square-on-scalar-engine": _square,
    "fuse-into-activation": _fuse,
    "scalar-tensor-tensor": _one_instruction,
    "move-work-to-idle-engine": _engines,
    "balance-tiles-between-engines": _balance,
    "shrink-live-tiles": _shrink,
    "separate-tiles-per-iteration": _own_tiles,
    "store-early-in-pieces": _store_early,
    "longer-instructions": _longer,
}


def _concessions(n: Norm, s: NormSchedule, asked: dict[str, object]) -> Iterator[tuple[NormSchedule, str]]:
    """The schedule itself, then fewer rows per transfer, then results in place."""
    yield s, ""
    for group in (8, 4, 2, 1):
        if "group" not in asked and group < s.group:
            yield s.with_(group=group).fitted(n), f" ({group} rows per partition and transfer, to fit)"
    if "in_place" not in asked and not s.in_place:
        yield s.with_(in_place=True).fitted(n), " (results overwrite what was loaded, to fit)"


KERNELS = Kernels[Norm, NormSchedule](
    options=OPTIONS,
    parse=lambda norm, source: validated(NormSchedule, fields_on_first_line(source, MARK)).fitted(norm),
    changed=lambda norm, s, fields: s.with_(**fields).fitted(norm),
    emit=emit,
    check=check,
    concessions=_concessions,
)
