"""Menu options as changes of a softmax's schedule, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...schedules import Change, Kernels, fields_on_first_line, validated
from ..rows import Rows
from .softmax import MARK, SoftmaxSchedule, check, emit

Moves = Callable[[Rows, SoftmaxSchedule], Iterator[Change]]


def _block(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    for threads in (256, 128, 512, 1024):
        if s.row != "block":
            text = f"A block of {threads} threads per row, combined in shared memory"
            yield Change(f"block{threads}", text, {"row": "block", "threads": threads})
    if s.row != "warp":
        yield Change("warp", "A warp per row, four rows per block", {"row": "warp", "threads": 128})


def _coalesce(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if s.row == "thread":
        yield Change("warp", "Lanes of a warp read neighbouring columns", {"row": "warp"})
        yield Change("block", "Threads of a block read neighbouring columns", {"row": "block"})


def _vectors(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if s.vector == 1:
        yield Change("float4", "Rows are read and written by float4 where they are aligned", {"vector": 4})


def _keep(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if s.passes != "kept" and s.row != "thread":
        text = "A row is read once and kept in registers; longer rows than this problem's take two passes"
        yield Change("registers", text, {"passes": "kept"})


def _online(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if s.passes != "online":
        yield Change("online", "Maximum and sum are found in one pass", {"passes": "online"})


def _shuffle(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if s.row == "block" and s.reduce == "tree":
        text = "Warps combine their values by shuffles, shared memory takes one value per warp"
        yield Change("shuffle", text, {"reduce": "shuffle"})


def _threads(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    for threads in (256, 128, 512, 64, 1024):
        if threads != s.threads:
            yield Change(f"threads{threads}", f"Blocks of {threads} threads", {"threads": threads})


def _cheaper(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if not s.inverse:
        yield Change("reciprocal", "One division per row; elements are multiplied by its result", {"inverse": True})


def _restrict(_: Rows, s: SoftmaxSchedule) -> Iterator[Change]:
    if not s.restrict:
        yield Change("both", "Input and output are declared __restrict__", {"restrict": True})


OPTIONS: Mapping[str, Moves] = {
    "block-per-row": _block,
    "coalesce-accesses": _coalesce,
    "vector-loads": _vectors,
    "keep-row-in-registers": _keep,
    "online-softmax": _online,
    "warp-shuffle-reduction": _shuffle,
    "choose-block-size": _threads,
    "cheaper-functions": _cheaper,
    "restrict-pointers": _restrict,
}


def _concessions(rows: Rows, s: SoftmaxSchedule, asked: dict[str, object]) -> Iterator[tuple[SoftmaxSchedule, str]]:
    """The schedule itself, then rows spread over more threads, then rows that are read twice."""
    yield s, ""
    if s.passes != "kept":
        return
    for threads in (256, 512, 1024):
        if "threads" not in asked and "row" not in asked and (s.row == "warp" or threads > s.threads):
            note = f" (a block of {threads} threads per row, to fit)"
            yield s.with_(row="block", threads=threads).fitted(), note
    if "passes" not in asked:
        yield s.with_(passes="online").fitted(), " (rows are read twice, being too long for registers)"


KERNELS = Kernels[Rows, SoftmaxSchedule](
    options=OPTIONS,
    parse=lambda _, source: validated(SoftmaxSchedule, fields_on_first_line(source, MARK)).fitted(),
    changed=lambda _, s, fields: s.with_(**fields).fitted(),
    emit=emit,
    check=check,
    concessions=_concessions,
)
