"""What each menu option can change in a schedule: variants as data, most promising first.

A variant names the fields it changes; whether the result is legal and fits is for `rewrites` to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..schedules import Change
from .problems import Gemm
from .schedule import ACC_BANK_ROWS, ACCUMULATOR_ROWS, DIM, Schedule

Variants = Callable[[Gemm, Schedule], Iterator[Change]]


def _double(s: Schedule, operands: str) -> dict[str, object]:
    """Second buffers for the named operands, where they are not kept whole anyway."""
    keeps = {"a": s.a_keep, "b": s.b_keep}
    return {f"{x}_buffers": 2 for x in operands if keeps[x] != "all"}


def even_tile(size: int, want: int) -> int:
    """The tile nearest below `want` that divides the dimension, unless that is much smaller."""
    blocks = -(-size // DIM)
    fitting = [d for d in range(1, want // DIM + 1) if blocks % d == 0]
    best = max(fitting) * DIM
    return best if best * 8 >= want * 5 or blocks * DIM <= want else want


# ---------------------------------------------------------------- tiles


_TILES = ((128, 64), (64, 128), (64, 64), (128, 128), (256, 64), (64, 256), (96, 64), (64, 32), (32, 64), (32, 32))


def _larger_tile(g: Gemm, s: Schedule) -> Iterator[Change]:
    room = ACCUMULATOR_ROWS if s.c_buffers == 1 else ACC_BANK_ROWS
    tiles = [(even_tile(g.m, ti), even_tile(g.n, tj)) for ti, tj in _TILES]
    for ti, tj in dict.fromkeys(tiles):
        if ti * tj <= s.ti * s.tj or ti // DIM * tj > room:
            continue
        tk = max(s.tk, min(64, -(-g.k // DIM) * DIM))
        fields: dict[str, object] = {"ti": ti, "tj": tj, **({"tk": tk} if tk != s.tk else {})}
        depth = f"x{tk}" if tk != s.tk else ""
        yield Change(
            f"{ti}x{tj}{depth}", f"C tiles of {ti}x{tj}, loaded {tk} deep: each loaded block is used more", fields
        )


def _square_tile(g: Gemm, s: Schedule) -> Iterator[Change]:
    room = (ACCUMULATOR_ROWS if s.c_buffers == 1 else ACC_BANK_ROWS) // DIM
    now = 1 / s.ti + 1 / s.tj
    sides = ((128, 64), (64, 128), (96, 80), (112, 64), (64, 112), (64, 64), (128, 128), (96, 96), (48, 48), (32, 32))
    tiles = {(even_tile(g.m, ti), even_tile(g.n, tj)) for ti, tj in sides} | set(sides)
    better = [
        (1 / ti + 1 / tj, ti, tj)
        for ti, tj in tiles
        if ti // DIM * (tj // DIM) <= room and 1 / ti + 1 / tj < now and max(ti, tj) <= 2 * min(ti, tj)
    ]
    for _, ti, tj in sorted(better)[:4]:
        yield Change(
            f"{ti}x{tj}",
            f"C tiles of {ti}x{tj}: near square, {(1 / ti + 1 / tj) / now:.0%} of the loads",
            {"ti": ti, "tj": tj},
        )


def _k_depth(g: Gemm, s: Schedule) -> Iterator[Change]:
    whole = -(-g.k // DIM) * DIM
    for tk in dict.fromkeys((64, 128, 256, whole, 32)):
        if tk != s.tk and tk <= whole:
            changes: dict[str, object] = {"tk": tk}
            if tk < g.k:  # panels need the whole depth
                changes |= {x: "tile" for x in ("a_keep", "b_keep") if getattr(s, x) == "panel"}
            yield Change(f"tk{tk}", f"Tiles {tk} deep: {-(-g.k // tk)} steps per C tile", changes)


def _strip_edges(g: Gemm, s: Schedule) -> Iterator[Change]:
    partial = [(size, tile) for size, tile in ((g.m, s.ti), (g.n, s.tj), (g.k, s.tk)) if size > tile and size % tile]
    if not partial:
        return
    if s.edges == "checked":
        yield Change(
            "split", "Full tiles run code without edge checks; partial tiles have their own", {"edges": "split"}
        )
    ti, tj, tk = even_tile(g.m, s.ti), even_tile(g.n, s.tj), even_tile(g.k, s.tk)
    yield Change("even-tiles", f"Tiles of {ti}x{tj}x{tk}, which divide the problem", {"ti": ti, "tj": tj, "tk": tk})


# ---------------------------------------------------------------- loads and stores


def _wide_loads(g: Gemm, s: Schedule) -> Iterator[Change]:
    for width in (64, 32):
        for name, a, b in (("both", True, True), ("a", True, False), ("b", False, True)):
            fields: dict[str, object] = {}
            if a and s.a_width < width:
                fields |= {"a_width": width, "tk": max(s.tk, width)}
            if b and s.b_width < width:
                fields |= {"b_width": width, "tj": max(s.tj, width)}
            grown = [f"{x}={fields[x]}" for x in ("tj", "tk") if fields.get(x, 0) != getattr(s, x) and x in fields]
            note = f" (tile grown to {', '.join(grown)})" if grown else ""
            if fields:
                who = {"both": "A and B", "a": "A", "b": "B"}[name]
                yield Change(f"{name}-{width}", f"mvins of {who} carry {width} columns each{note}", fields)


def _wide_stores(g: Gemm, s: Schedule) -> Iterator[Change]:
    for width in (64, 32):
        if s.c_width < width:
            fields: dict[str, object] = {"c_width": width, "tj": max(s.tj, width)}
            note = f" (tile grown to tj={width})" if s.tj < width else ""
            yield Change(f"c-{width}", f"mvouts of {width} columns write whole DRAM lines{note}", fields)


def _separate_banks(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.placement != "banked":
        yield Change(
            "banked",
            "Every buffer of A and B has scratchpad banks of its own, C buffers accumulator banks",
            {"placement": "banked"},
        )
    if s.placement == "packed":
        yield Change("split", "A and B lie in different scratchpad banks", {"placement": "split"})


def _double_buffer(x: str) -> Variants:
    def variants(g: Gemm, s: Schedule) -> Iterator[Change]:
        name = x.upper()
        ahead = s.loads if s.loads != "before" else "prefetch"
        own = _double(s, x)
        if not own or getattr(s, f"{x}_buffers") == 2:
            return
        if s.loads == "before":
            yield Change(
                "ahead",
                f"Two buffers for {name}, the next tile loaded while this one computes",
                {**own, "loads": ahead},
            )
        yield Change("alternate", f"Two buffers for {name}, used in turn; loads stay where they are", own)
        both = _double(s, "ab")
        yield Change("both-ahead", "Two buffers for A and for B, the next tiles loaded ahead", {**both, "loads": ahead})

    return variants


def _prefetch(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.loads == "interleave":
        yield Change("burst", "The next tile's loads stand together before the computes", {"loads": "prefetch"})
        return
    yield from _ahead(s, "prefetch", "The next tile's loads stand before this tile's computes")


def _interleave_loads(g: Gemm, s: Schedule) -> Iterator[Change]:
    yield from _ahead(s, "interleave", "The next tile's loads are spread between this tile's computes")


def _ahead(s: Schedule, loads: str, what: str) -> Iterator[Change]:
    for name, operands in (("both", "ab"), ("a", "a"), ("b", "b")):
        buffers = _double(s, operands)
        added = [x[0].upper() for x in buffers if getattr(s, x) == 1]
        note = f" (adds second buffers for {' and '.join(added)})" if added else ""
        yield Change(name, what + note, {**buffers, "loads": loads})


def _ping_pong(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.c_buffers == 1:
        yield Change(
            "ping-pong",
            "Two C tiles in the accumulator, so that one is stored while the next is computed",
            {"c_buffers": 2},
        )


def _interleave_stores(g: Gemm, s: Schedule) -> Iterator[Change]:
    fields: dict[str, object] = {"stores": "interleave", "c_buffers": 2}
    note = " (adds a second C tile)" if s.c_buffers == 1 else ""
    note += "; so is the next D tile" if g.bias and s.loads == "interleave" else ""
    for width in dict.fromkeys((max(s.c_width, min(64, s.tj)), s.c_width)):
        wide = f", {width} columns each" if width != s.c_width else ""
        yield Change(
            f"spread-{width}",
            f"The previous C tile's mvouts{wide} are spread between the computes{note}",
            {**fields, "c_width": width},
        )


def _early_store(g: Gemm, s: Schedule) -> Iterator[Change]:
    for inner in ("ijk", "jik"):
        yield Change(
            f"early-{inner}", f"Each C block is stored right after its last product (block loops {inner})",
            {"stores": "early", "inner": inner, "weight_reuse": False},
        )  # fmt: skip


# ---------------------------------------------------------------- residency and order


def _keep_whole(x: str) -> Variants:
    def variants(g: Gemm, s: Schedule) -> Iterator[Change]:
        fields: dict[str, object] = {f"{x}_keep": "all", f"{x}_buffers": 1}
        order = "ij" if x == "b" else "ji"
        name = x.upper()
        other = "b" if x == "a" else "a"
        legal = getattr(s, f"{other}_keep") != "panel"
        if s.order == order or not legal:
            yield Change("whole", f"All of {name} stays in the scratchpad, loaded once, piecewise at first use", fields)
        else:
            yield Change(
                f"whole-{order}", f"All of {name} stays in the scratchpad, loaded once; tile loops in order {order}, "
                f"so that its pieces are reused soon", {**fields, "order": order},
            )  # fmt: skip
            yield Change("whole", f"All of {name} stays in the scratchpad, loaded once, piecewise at first use", fields)

    return variants


def _keep_panel(g: Gemm, s: Schedule) -> Iterator[Change]:
    tk = -(-g.k // DIM) * DIM
    a: dict[str, object] = {"order": "ij", "a_keep": "panel", "tk": tk}
    b: dict[str, object] = {"order": "ji", "b_keep": "panel", "tk": tk}
    if s.b_keep == "panel":
        a["b_keep"] = "tile"
    if s.a_keep == "panel":
        b["a_keep"] = "tile"
    deep = f" (tiles {tk} deep, which is all of K)" if tk != s.tk else ""
    choices = [
        Change("panel-a", f"Rows of A stay on chip for a whole row of C tiles{deep}", a),
        Change("panel-b", f"Columns of B stay on chip for a whole column of C tiles{deep}", b),
    ]
    yield from choices if g.m * s.tj >= g.n * s.ti else reversed(choices)


def _loop_order(g: Gemm, s: Schedule) -> Iterator[Change]:
    other = "ji" if s.order == "ij" else "ij"
    drop = {x: "tile" for x in ("a_keep", "b_keep") if getattr(s, x) == "panel"}
    outer = Change(f"tiles-{other}", f"Tile loops in order {other}", {"order": other, **drop})
    inner = []
    for order in ("kij", "kji", "ijk", "jik", "ikj", "jki"):
        if order != s.inner and (order[2] == "i" or not s.weight_reuse) and (order[2] == "k" or s.stores != "early"):
            inner.append(Change(f"blocks-{order}", f"Block loops inside a tile in order {order}", {"inner": order}))
    yield outer
    yield from inner


def _overwrite(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.init == "zero" and not g.bias:
        yield Change("overwrite", "The first product of each sum overwrites; no zero fill", {"init": "overwrite"})


def _weight_reuse(g: Gemm, s: Schedule) -> Iterator[Change]:
    early = {"stores": "after"} if s.stores == "early" else {}
    for inner in dict.fromkeys((s.inner if s.inner[2] == "i" else "kji", "kji", "jki")):
        yield Change(
            f"reuse-{inner}", f"One preload of a B block serves all row blocks of the tile (block loops {inner})",
            {"weight_reuse": True, "inner": inner, **early},
        )  # fmt: skip


# ---------------------------------------------------------------- commands and scalar code


_FENCES = ("all", "step", "tile", "none")


def _fewer_fences(g: Gemm, s: Schedule) -> Iterator[Change]:
    words = {
        "none": "No fence at all: the call ends with one anyway",
        "tile": "One fence per C tile",
        "step": "One fence per step",
    }
    for level in reversed(_FENCES[_FENCES.index(s.fences) + 1 :]):
        yield Change(f"fences-{level}", words[level], {"fences": level})


def _hoist_config(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.config != "once":
        note = " (A, B and D get load ids of their own)" if s.load_ids == "one" else ""
        yield Change(
            "once", f"All configuration stands before the loops{note}", {"config": "once", "load_ids": "separate"}
        )


def _separate_ids(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.load_ids == "one":
        yield Change(
            "separate-once", "mvin for A, mvin2 for B, mvin3 for D, each configured once before the loops",
            {"load_ids": "separate", "config": "once"},
        )  # fmt: skip
        yield Change("separate", "mvin for A, mvin2 for B, mvin3 for D; configured as before", {"load_ids": "separate"})


def _unroll_inner(g: Gemm, s: Schedule) -> Iterator[Change]:
    size = {"i": min(g.m, s.ti), "j": min(g.n, s.tj), "k": min(g.k, s.tk)}[s.inner[2]]
    blocks = -(-size // DIM)
    for factor in dict.fromkeys((min(blocks, 8), 4, 2, min(blocks, 16))):
        if 1 < factor <= blocks and factor != s.unroll_inner:
            yield Change(f"by-{factor}", f"Innermost block loop unrolled by {factor}", {"unroll_inner": factor})


def _unroll_k(g: Gemm, s: Schedule) -> Iterator[Change]:
    blocks = -(-min(g.k, s.tk) // DIM)
    field = "unroll_inner" if s.inner[2] == "k" else "unroll_k"
    for factor in (2, 4):
        if factor <= blocks and factor != getattr(s, field):
            yield Change(f"by-{factor}", f"Block loop over k unrolled by {factor}", {field: factor})


def _compact(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.unroll_inner > 1 or s.unroll_k > 1:
        yield Change("rolled", "No unrolling: less code to fetch cold", {"unroll_inner": 1, "unroll_k": 1})


def _pointers(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.addressing == "index" and not s.weight_reuse:
        yield Change("increments", "Local addresses are incremented in the innermost loop", {"addressing": "pointer"})


def _contiguous(g: Gemm, s: Schedule) -> Iterator[Change]:
    if s.load_order == "down":
        yield Change("along-rows", "Consecutive mvins walk along DRAM rows", {"load_order": "along"})
    else:
        yield Change(
            "down-columns", "Consecutive mvins go down a column strip, in the order of need", {"load_order": "down"}
        )


OPTIONS: dict[str, Variants] = {
    "larger-tile": _larger_tile,
    "square-tile-for-reuse": _square_tile,
    "k-tile-depth": _k_depth,
    "wide-loads": _wide_loads,
    "wide-stores": _wide_stores,
    "separate-banks": _separate_banks,
    "double-buffer-a": _double_buffer("a"),
    "double-buffer-b": _double_buffer("b"),
    "accumulator-ping-pong": _ping_pong,
    "prefetch-next-tile": _prefetch,
    "interleave-loads-with-compute": _interleave_loads,
    "interleave-stores-with-compute": _interleave_stores,
    "early-store": _early_store,
    "keep-a-resident": _keep_whole("a"),
    "keep-b-resident": _keep_whole("b"),
    "keep-panel-resident": _keep_panel,
    "loop-order": _loop_order,
    "overwrite-first": _overwrite,
    "weight-reuse": _weight_reuse,
    "fewer-fences": _fewer_fences,
    "hoist-config": _hoist_config,
    "separate-load-ids": _separate_ids,
    "unroll-inner": _unroll_inner,
    "unroll-k": _unroll_k,
    "compact-code": _compact,
    "pointer-increments": _pointers,
    "strip-edge-checks": _strip_edges,
    "contiguous-inner-order": _contiguous,
}
