"""Menu options as changes of a matrix product's schedule, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...schedules import Change, Kernels, fields_on_first_line, validated
from ..machines import machine
from ..matrices import Gemm
from .sgemm_emit import emit
from .sgemm_plans import plans
from .sgemm_schedule import MARK, SgemmSchedule, check

Moves = Callable[[Gemm, SgemmSchedule], Iterator[Change]]


def _whole(gemm: Gemm, _: SgemmSchedule) -> Iterator[Change]:
    for plan in plans(gemm):
        yield Change(plan.name, plan.summary, plan.schedule.model_dump())


def _stage(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    for edge in (32, 16):
        if not s.staged:
            text = f"Tiles of {edge} x {edge} of A and B are staged in shared memory"
            yield Change(f"tile{edge}", text, {"staged": True, "bm": edge, "bn": edge, "bk": edge})


# Results of a thread and of its block.
_TILES = ((8, 8, 128, 128), (8, 8, 128, 64), (8, 8, 64, 64), (8, 4, 64, 64), (4, 4, 64, 64), (2, 2, 32, 32))


def _registers(gemm: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    """Tiles that leave SMs without a block come last."""
    sms, (m, n, _) = machine().sms, gemm.dims.values()
    fills = {tile: -(-m // tile[2]) * -(-n // tile[3]) >= sms for tile in _TILES}
    for tile in sorted(_TILES, key=lambda tile: not fills[tile]):
        tm, tn, bm, bn = tile
        if tile != (s.tm, s.tn, s.bm, s.bn):
            text = f"A thread forms {tm} x {tn} results, a block {bm} x {bn}"
            fields: dict[str, object] = {"staged": True, "tm": tm, "tn": tn, "bm": bm, "bn": bn}
            yield Change(f"{tm}x{tn}-of-{bm}x{bn}", text, fields)


def _larger(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    for bm, bn in ((64, 64), (128, 128), (128, 64), (64, 128)):
        if s.staged and (bm, bn) != (s.bm, s.bn) and bm >= s.bm and bn >= s.bn:
            yield Change(f"{bm}x{bn}", f"A block forms {bm} x {bn} results", {"bm": bm, "bn": bn})


def _vectors(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    if s.staged and s.vector == 1:
        yield Change("float4", "Tiles are filled by float4 where rows are aligned", {"vector": 4})


def _reads(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    if s.staged and s.reads == 1:
        text = "The tile of A is kept transposed; threads read both tiles by float4"
        yield Change("float4", text, {"reads": 4, "turned": True, "pad": 0})
        yield Change("float4-padded", f"{text}, rows of A's padded by 4", {"reads": 4, "turned": True, "pad": 4})


def _pad(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    for pad in (4, 1):
        if s.staged and pad != s.pad:
            yield Change(f"pad{pad}", f"Rows of A's tile are longer by {pad}", {"pad": pad})


def _double(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    if s.staged and s.stages == 1:
        yield Change("two", "The next tiles are loaded while the present ones are used", {"stages": 2})


def _unroll(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    if s.staged and not s.unroll:
        yield Change("tile", "The steps of K within a tile are unrolled", {"unroll": True})


def _several(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    for bk in (16, 8, 32):
        if s.staged and bk != s.bk:
            yield Change(f"steps{bk}", f"Tiles hold {bk} steps of K, all of whose loads are under way", {"bk": bk})


def _restrict(_: Gemm, s: SgemmSchedule) -> Iterator[Change]:
    if not s.restrict:
        yield Change("all", "Operands and result are declared __restrict__", {"restrict": True})


OPTIONS: Mapping[str, Moves] = {
    "plan-tiles-together": _whole,
    "shared-tiles": _stage,
    "register-tile": _registers,
    "larger-block-tile": _larger,
    "vector-loads": _vectors,
    "vector-shared-reads": _reads,
    "pad-shared-rows": _pad,
    "double-buffer-shared": _double,
    "unroll-inner-loop": _unroll,
    "several-loads-under-way": _several,
    "restrict-pointers": _restrict,
}


def _concessions(_: Gemm, s: SgemmSchedule, asked: dict[str, object]) -> Iterator[tuple[SgemmSchedule, str]]:
    """The schedule itself, or with single floats where float4 does not fit; then fewer steps of K, then one stage."""
    plain = s
    if s.reads == 4 and "reads" not in asked and (s.tm % 4 or s.tn % 4 or s.pad % 4):
        plain = s.with_(reads=1)
        yield plain, " (tiles read by single floats)"
    else:
        yield s, ""
    if "bk" not in asked:
        for bk in (16, 8):
            if bk < s.bk:
                yield plain.with_(bk=bk), f" ({bk} steps of K per tile, to fit)"
    if "stages" not in asked and s.stages == 2:
        yield plain.with_(bk=8, stages=1), " (one tile of 8 steps of K at a time, to fit)"


KERNELS = Kernels[Gemm, SgemmSchedule](
    options=OPTIONS,
    parse=lambda _, source: validated(SgemmSchedule, fields_on_first_line(source, MARK)).fitted(),
    changed=lambda _, s, fields: s.with_(**fields).fitted(),
    emit=emit,
    check=check,
    concessions=_concessions,
)
