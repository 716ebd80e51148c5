"""Menu options as changes of a transposition's schedule, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...schedules import Change, Kernels, fields_on_first_line, validated
from ..planes import Matrix
from .transpose import MARK, TransposeSchedule, emit

Moves = Callable[[Matrix, TransposeSchedule], Iterator[Change]]


def _stage(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    for tile in (32, 64):
        if not s.staged or tile != s.tile:
            text = f"Tiles of {tile} x {tile} are turned around in shared memory; reads and writes go along rows"
            yield Change(f"tile{tile}", text, {"staged": True, "tile": tile})


def _pad(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    if s.staged and s.banks != "pad":
        yield Change("one", "A column of padding puts a tile's columns into different banks", {"banks": "pad"})


def _swizzle(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    if s.staged and s.banks != "xor":
        yield Change("xor", "Columns are exchanged by XOR with the row, without padding", {"banks": "xor"})


def _vectors(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    if s.staged and s.vector == 1:
        yield Change("float4", "Tiles are read and written by float4 where rows are aligned", {"vector": 4})


def _ahead(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    if s.staged and not s.ahead:
        yield Change("registers", "A thread's loads are all started before the first is used", {"ahead": True})
    for rows in (4, 2, 8):
        if not s.staged and rows != s.rows:
            text = f"A thread moves {rows} rows, and loads all of them first"
            yield Change(f"rows{rows}", text, {"rows": rows, "ahead": True})


def _threads(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    for threads in (128, 256, 512, 64, 1024):
        if threads != s.threads:
            yield Change(f"threads{threads}", f"Blocks of {threads} threads", {"threads": threads})


def _restrict(_: Matrix, s: TransposeSchedule) -> Iterator[Change]:
    if not s.restrict:
        yield Change("both", "Input and output are declared __restrict__", {"restrict": True})


OPTIONS: Mapping[str, Moves] = {
    "transpose-through-shared": _stage,
    "pad-shared-rows": _pad,
    "swizzle-shared": _swizzle,
    "vector-loads": _vectors,
    "several-loads-under-way": _ahead,
    "choose-block-size": _threads,
    "restrict-pointers": _restrict,
}


def _alone(_: Matrix, s: TransposeSchedule, asked: dict[str, object]) -> Iterator[tuple[TransposeSchedule, str]]:
    yield s, ""


KERNELS = Kernels[Matrix, TransposeSchedule](
    options=OPTIONS,
    parse=lambda _, source: validated(TransposeSchedule, fields_on_first_line(source, MARK)).fitted(),
    changed=lambda _, s, fields: s.with_(**fields).fitted(),
    emit=emit,
    check=lambda _, s: None,  # 16 KB of shared memory at most: everything fits
    concessions=_alone,
)
