"""Menu options as changes of a matrix product's schedule, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...schedules import Change, Kernels
from ..gemm import Gemm
from .gemm_emit import emit
from .gemm_schedule import COLUMNS, ROWS, GemmSchedule, check, parse_line, tiles

Moves = Callable[[Gemm, GemmSchedule], Iterator[Change]]
_BLOCKS = ((4, 1), (2, 2), (4, 2), (8, 1), (2, 4), (2, 1), (1, 2), (1, 4), (8, 4), (8, 2), (16, 4), (16, 2))


def _left_panel(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if not s.keep_a:
        text = "All of K of a block's rows of a_t is loaded once, before the loop over columns"
        yield Change("left-panel", text, {"keep_a": True, "order": "mn"})


def _right_panel(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if not s.keep_b:
        text = "All of K of a block's columns of b is loaded once, before the loop over rows"
        yield Change("right-panel", text, {"keep_b": True, "order": "nm"})


def _hoist(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    yield from _right_panel(g, s)
    yield from _left_panel(g, s)


def _resident(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    yield from _hoist(g, s)
    both = "Both operands stay in SBUF: what is outermost as a panel, the other whole, loaded at first use"
    yield Change("both", both, {"keep_a": True, "keep_b": True})
    yield Change("whole-right", "All of b stays in SBUF, loaded at first use", {"keep_b": True, "order": "mn"})
    yield Change("whole-left", "All of a_t stays in SBUF, loaded at first use", {"keep_a": True, "order": "nm"})


def _blocks(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    most_m, most_n, depth = tiles(g)
    for bm, bn in dict.fromkeys((min(m, most_m), min(n, most_n)) for m, n in _BLOCKS):
        if (bm, bn) == (s.bm, s.bn) or bm * bn < s.bm * s.bn:
            continue
        fields: dict[str, object] = {"bm": bm, "bn": bn}
        note = ""
        if s.bk < depth and s.sums == "psum" and bm * bn > 8:
            fields |= {"sums": "sbuf", "bk": max(s.bk, min(4, depth - 1))}
            note = ", added up in SBUF"
        yield Change(
            f"{bm}x{bn}", f"Blocks of {bm} x {bn} tiles of 128 x 512{note}: each loaded tile serves more", fields
        )


def _contraction(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    depth = tiles(g)[2]
    for bk in (8, 4, 16, 2, 32):
        if bk < depth and (bk != s.bk or s.sums == "psum"):
            text = f"Steps of {bk} tiles along K; sums lie in SBUF between them"
            yield Change(f"k{bk}", text, {"bk": bk, "sums": "sbuf", "keep_a": False, "keep_b": False})
    if s.bk < depth:
        yield Change("whole", "One step takes all of K: every sum is finished before the next", {"bk": depth})


def _in_psum(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if s.sums == "sbuf":
        for bm, bn in ((s.bm, s.bn), (4, 2), (8, 1), (4, 1), (2, 2)):
            text = f"Sums of {bm} x {bn} tiles stay in PSUM over all of K"
            yield Change(f"{bm}x{bn}", text, {"sums": "psum", "bm": bm, "bn": bn})


def _rotate(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if s.sums == "psum" and s.bk < tiles(g)[2] and s.bm * s.bn > 4:
        for bm, bn in ((4, 1), (2, 2), (1, 4)):
            text = f"Blocks of {bm} x {bn} tiles: the next block's sums have banks of their own"
            yield Change(f"{bm}x{bn}", text, {"bm": bm, "bn": bn})


def _wide(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if s.bn > 1 and s.store == "tile":
        yield Change("stores", "Results of a block's row are stored by one transfer", {"store": "block"})
    yield from _long(g, s)
    for bn in (2, 4):
        if bn > s.bn and bn <= tiles(g)[1]:
            yield Change(f"right-{bn * COLUMNS}", f"b is loaded {bn * COLUMNS} columns at a time", {"bn": bn})


def _long(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    for bm in (4, 8, 2):
        if bm > s.bm and bm <= tiles(g)[0]:
            yield Change(f"left-{bm * ROWS}", f"a_t is loaded {bm * ROWS} columns at a time", {"bm": bm})


def _split(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    """Fewer products, or plain bfloat16, would not be float32's accuracy."""
    if g.dtype == "float32" and s.products != "split3":
        text = "Three products in bfloat16 (high*high + low*high + high*low) in place of float32's four passes"
        yield Change("three", text, {"products": "split3"})


def _engines(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    texts = {
        "both": "Scalar and Vector engine empty PSUM in turn",
        "scalar": "The Scalar engine empties PSUM",
        "vector": "The Vector engine empties PSUM",
    }
    for engine, text in texts.items():
        if engine != s.copy_engine:
            yield Change(engine, text, {"copy_engine": engine})
    if s.products != "given":
        other = "gpsimd" if s.low_engine == "vector" else "vector"
        name = "GpSimd" if other == "gpsimd" else "the Vector engine"
        yield Change(f"low-{other}", f"Low parts are computed by {name}", {"low_engine": other})


def _store_early(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if s.store == "block":
        yield Change("tiles", "Every tile is stored as soon as it is finished", {"store": "tile"})
    depth = tiles(g)[2]
    if s.bk < depth and s.sums == "psum" and s.bm * s.bn > 1:
        text = "All of K is loaded first: sums are finished, and stored, one after the other"
        yield Change("one-by-one", text, {"bk": depth})


def _in_order(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    if s.bk > 1 and not (s.keep_a and s.keep_b):
        text = "Loads and products alternate, tile by tile along K"
        yield Change("alternate", text, {"bk": 1, "sums": "psum"})
    if s.panel == "ahead" and s.keep_a != s.keep_b:
        text = "Each tile of the panel is loaded right before its first products"
        yield Change("panel-at-use", text, {"panel": "use"})
    other = "nm" if s.order == "mn" else "mn"
    if not (s.keep_a or s.keep_b):
        yield Change(f"order-{other}", f"Blocks in the order {other}", {"order": other})


def _shrink(g: Gemm, s: GemmSchedule) -> Iterator[Change]:
    for bk in (8, 4, 2):
        if bk < min(s.bk, tiles(g)[2]):
            yield Change(f"k{bk}", f"Steps of {bk} tiles along K: less lies in SBUF at once", {"bk": bk})


OPTIONS: Mapping[str, Moves] = {
    "hoist-invariant-loads": _hoist,
    "keep-operand-resident": _resident,
    "block-free-dimensions": _blocks,
    "block-contraction": _contraction,
    "accumulate-in-psum": _in_psum,
    "widen-transfers": _wide,
    "long-contiguous-pieces": _long,
    "split-bf16-high-low": _split,
    "rotate-psum-tiles": _rotate,
    "move-work-to-idle-engine": _engines,
    "store-early-in-pieces": _store_early,
    "load-in-order-of-use": _in_order,
    "shrink-live-tiles": _shrink,
}


def _concessions(g: Gemm, s: GemmSchedule, asked: dict[str, object]) -> Iterator[tuple[GemmSchedule, str]]:
    """The schedule itself, then smaller steps, then smaller blocks. What the variant asked for is kept."""
    yield s, ""
    depth = tiles(g)[2]
    for bk in (8, 4, 2, 1):
        if "bk" not in asked and bk < min(s.bk, depth):
            yield s.with_(bk=bk).fitted(g), f" (steps of {bk} tiles along K, to fit)"
    for name, words in (("bn", "512 columns"), ("bm", "128 rows")):
        for size in (4, 2, 1):
            if name not in asked and size < getattr(s, name):
                yield s.with_(**{name: size}).fitted(g), f" (blocks of {size} tiles of {words}, to fit)"


KERNELS = Kernels[Gemm, GemmSchedule](
    options=OPTIONS,
    parse=lambda gemm, source: parse_line(source).fitted(gemm),
    changed=lambda gemm, s, fields: s.with_(**fields).fitted(gemm),
    emit=emit,
    check=check,
    concessions=_concessions,
)
