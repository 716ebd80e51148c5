"""What each menu option can change in a convolution's schedule: variants as data, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .conv import Conv
from .conv_schedule import ConvSchedule, blocks, divisor
from .conv_shapes import SHAPE, is_pipelined, plans
from .schedule import ACC_BANK_ROWS, ACCUMULATOR_ROWS, DIM
from .variants import Change

ConvVariants = Callable[[Conv, ConvSchedule], Iterator[Change]]


def _tile(c: Conv, s: ConvSchedule, ty: int, tj: int) -> dict[str, object]:
    return {"ty": ty, "tj": tj, "images": s.images if ty == c.out_height else 1}


def _outputs(c: Conv, s: ConvSchedule) -> int:
    return s.images * s.ty * c.out_width * s.tj // DIM


PLANS = 8  # of a whole plan's variants

# ---------------------------------------------------------------- tiles


def _whole_plan(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    """Plans by estimated cycles; where everything overlaps already, only their tiles and what stays on chip."""
    now, keep = is_pipelined(s), {"a": "input", "b": "weights"}
    for plan in plans(c)[:PLANS]:
        fields = plan.model_dump(include=set(SHAPE) if now else None)
        stays = [f"{keep[x]} {getattr(plan, x + '_keep')}" for x in "ab" if getattr(plan, x + "_keep") != "tile"]
        name = "-".join([f"{plan.images * plan.ty}x{plan.tj}x{plan.tk}", *(word.replace(" ", "-") for word in stays)])
        yield Change(
            name + (f"-merge-{plan.merge}" if plan.merge > 1 else "") + ("-one" if plan.a_buffers == 1 else ""),
            f"C tiles of {plan.images * plan.ty} rows x {plan.tj} channels, steps of {plan.tk} input channels, "
            f"{'kept: ' + ', '.join(stays) if stays else 'nothing kept'}"
            + ("" if now else "; loads and stores spread between the pairs, weights reused, no fences"),
            fields,
        )  # fmt: skip


def _band(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.taps == "band":
        return
    channels = [max(s.tj, divisor(blocks(c.channels_out), n) * DIM) for n in (2, 4, 1)]
    for tj in dict.fromkeys(channels):
        ty = divisor(c.out_height, max(1, ACC_BANK_ROWS // (c.out_width * tj // DIM)))
        tk = max(s.tk, divisor(blocks(c.channels_in), 4) * DIM)
        yield Change(
            f"band-{ty}x{tj}",
            f"Input rows of {ty} output rows are loaded once, {tk} channels at a time; all taps read them, for "
            f"{tj} output channels",
            {"taps": "band", "tk": tk, **_tile(c, s, ty, tj)},
        )


def _larger_tile(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    """Tiles of rows x channels that fill the accumulator, or half of it, largest first."""
    room = ACCUMULATOR_ROWS if s.c_buffers == 1 else ACC_BANK_ROWS
    found: list[tuple[int, int, int]] = []
    for tj in dict.fromkeys(divisor(blocks(c.channels_out), n) * DIM for n in (1, 2, 4, 8)):
        most = room // (c.out_width * tj // DIM)
        if most and (ty := divisor(c.out_height, most)) * tj > s.ty * s.tj:
            found.append((ty * tj, ty, tj))
    for _, ty, tj in sorted(found, key=lambda entry: (-entry[0], entry[2])):
        tk = max(s.tk, divisor(blocks(c.channels_in), 4) * DIM)
        deep = {"tk": tk} if tk != s.tk else {}
        note = f", {tk} input channels at a time" if deep else ""
        yield Change(
            f"{ty}x{tj}" + (f"x{tk}" if deep else ""), f"C tiles of {ty} rows x {tj} channels{note}",
            {**_tile(c, s, ty, tj), **deep},
        )  # fmt: skip


def _other_tile(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    """Tiles of about the same size with other sides: rows share weights, channels share input."""
    room = ACCUMULATOR_ROWS if s.c_buffers == 1 else ACC_BANK_ROWS
    for tj in (s.tj * 2, s.tj // 2, s.tj * 4, s.tj // 4):
        fits = room // (c.out_width * tj // DIM) if tj >= DIM else 0
        if fits and tj <= blocks(c.channels_out) * DIM:
            ty = divisor(c.out_height, fits)
            yield Change(f"{ty}x{tj}", f"C tiles of {ty} rows x {tj} channels", _tile(c, s, ty, tj))


def _k_depth(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    whole = blocks(c.channels_in)
    for tk in dict.fromkeys(divisor(whole, n) * DIM for n in (4, 8, whole)):
        if tk != s.tk:
            yield Change(f"tk{tk}", f"Steps of {tk} input channels: {whole * DIM // tk} per C tile", {"tk": tk})


def _output_pixels(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    rows = DIM // (c.width + c.padding)
    if rows > s.merge and s.taps == "band" and s.ty > 1 and c.stride == 1:
        yield Change(
            f"merge-{rows}", f"One compute covers {rows} output rows; zeros lie between them",
            {"merge": min(rows, s.ty)},
        )  # fmt: skip
    rows = min(DIM // (c.out_width + (c.kernel - 1) // c.stride), s.ty)
    if 1 < c.stride <= c.kernel and s.merge < rows and s.taps == "band":
        words = f"Pixels sorted by row and column modulo {c.stride}, so that one compute covers {rows} output rows"
        yield Change(f"phases-merge-{rows}", words, {"merge": rows, "phases": True})
    if s.merge > 1:
        apart = "A compute covers one output row only, padding is not computed"
        yield Change("rows-apart", apart, {"merge": 1, "phases": False})
    for images in (2, 4, 8):
        if c.batch % images == 0 and images > s.images and s.taps == "band":
            tj = s.tj
            while tj > DIM and images * c.out_height * c.out_width * tj // DIM > ACC_BANK_ROWS:
                tj //= 2
            yield Change(
                f"images-{images}", f"{images} images share each block of weights (C tiles of {tj} channels)",
                {"images": images, "ty": c.out_height, "tj": tj},
            )  # fmt: skip


# ---------------------------------------------------------------- loads and stores


def _wide_loads(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    for width in (64, 32) if min(c.channels_in, c.channels_out) < 64 else (64,):
        tk, tj = max(s.tk, divisor(blocks(c.channels_in), width // DIM) * DIM), s.tj
        for name, a, b in (("both", True, True), ("a", True, False), ("b", False, True)):
            fields: dict[str, object] = {}
            if a and s.a_width < width <= tk:
                fields |= {"a_width": width, "tk": tk}
            if b and s.b_width < min(width, tj):
                fields |= {"b_width": min(width, tj) if tj in (16, 32, 48) else width}
            if fields:
                who = {"both": "input and weights", "a": "input", "b": "weights"}[name]
                note = f" (steps of {tk} channels)" if fields.get("tk", s.tk) != s.tk else ""
                yield Change(f"{name}-{width}", f"mvins of {who} carry up to {width} channels each{note}", fields)


def _separate_banks(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.placement != "banked":
        yield Change("banked", "Every buffer has scratchpad and accumulator banks of its own", {"placement": "banked"})
    if s.placement == "packed":
        yield Change("split", "Input and weights lie in different scratchpad banks", {"placement": "split"})
    if s.placement != "packed":
        yield Change("packed", "Everything one after the other: more fits", {"placement": "packed"})


def _double(s: ConvSchedule) -> dict[str, object]:
    """Second buffers for what is loaded into the place in use otherwise."""
    fields: dict[str, object] = {}
    if s.a_keep == "tile":
        fields["a_buffers"] = 2
    if s.b_keep == "tile":
        fields["b_buffers"] = 2
    return fields


def _double_buffer(x: str) -> ConvVariants:
    def variants(c: Conv, s: ConvSchedule) -> Iterator[Change]:
        if getattr(s, f"{x}_buffers") == 1 and getattr(s, f"{x}_keep") != "all":
            what = {"a": "the input", "b": "the weights"}[x]
            ahead = {"loads": "prefetch"} if s.loads == "before" else {}
            yield Change("two", f"Two buffers for {what}, the next tile loaded ahead", {f"{x}_buffers": 2, **ahead})

    return variants


def _ahead(loads: str, what: str) -> ConvVariants:
    def variants(c: Conv, s: ConvSchedule) -> Iterator[Change]:
        if s.loads == loads:
            return
        free: dict[str, object] = {"loads": loads, "config": "once", "fences": "none"}
        note = "configuration before the loops and no fences, which would undo it"
        yield Change("both", f"{what} (second buffers where nothing is kept; {note})", {**_double(s), **free})
        yield Change("as-is", f"{what} ({note})", free)

    return variants


def _ping_pong(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.c_buffers == 1:
        yield Change(
            "ping-pong", "Two C tiles in the accumulator: one is stored while the next grows", {"c_buffers": 2}
        )


def _interleave_stores(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.stores == "interleave":
        return
    fields: dict[str, object] = {"stores": "interleave", "c_buffers": 2, "fences": "none"}
    if s.c_buffers == 1 and _outputs(c, s) > ACC_BANK_ROWS:
        room = ACC_BANK_ROWS // (c.out_width * s.tj // DIM)
        if room:
            fields |= _tile(c, s, divisor(c.out_height, room), s.tj)
    yield Change("spread", "The previous C tile's mvouts are spread between the computes (no fences)", fields)


def _first_taps(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.start == "whole":
        yield Change(
            "taps", "The first step's weights are loaded a tap ahead of their use (taps outermost in a step)",
            {"start": "taps", "inner": "qkj"},
        )  # fmt: skip


# ---------------------------------------------------------------- residency and order


def _keep_b(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.b_keep != "all":
        yield Change("whole", "All weights stay in the scratchpad, loaded once", {"b_keep": "all", "b_buffers": 1})


def _keep_panel(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.a_keep != "panel":
        drop = {"b_keep": "tile"} if s.b_keep == "panel" else {}
        one: dict[str, object] = {"order": "yj", "a_keep": "panel", **drop}
        yield Change("input", "A band of input stays for all output channels", one)
        if s.b_keep != "all":
            yield Change(
                "input-alone", "A band of input stays for all output channels, in one buffer; weights stream in two",
                {**one, "a_buffers": 1, "b_keep": "tile", "b_buffers": 2},
            )  # fmt: skip
    if s.b_keep == "tile":
        drop = {"a_keep": "tile"} if s.a_keep == "panel" else {}
        yield Change(
            "weights", "The weights of a C tile's channels stay for all bands",
            {"order": "jy", "b_keep": "panel", "b_buffers": 1, **drop},
        )  # fmt: skip


def _loop_order(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    other = "jy" if s.order == "yj" else "yj"
    drop = {x: "tile" for x in ("a_keep", "b_keep") if getattr(s, x) == "panel"}
    yield Change(f"tiles-{other}", f"Tile loops in order {other}", {"order": other, **drop})
    inner = "qkj" if s.inner == "jqk" else "jqk"
    back = {"start": "whole"} if inner == "jqk" else {}
    yield Change(f"blocks-{inner}", f"Loops in a step in order {inner}", {"inner": inner, **back})


def _overwrite(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.init != "overwrite" and not c.bias:
        yield Change("overwrite", "The tap that reaches every output comes first and overwrites", {"init": "overwrite"})


def _fill_ahead(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.init == "zero" and s.stores == "interleave":
        what = "bias" if c.bias else "zeros"
        yield Change(
            "ahead",
            f"The next C tile's {what} are loaded between this tile's pairs, after the stores",
            {"init": "ahead"},
        )


def _per_row(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    spread = "interleave" in (s.loads, s.stores)
    if s.slots == "groups" and spread:
        yield Change("rows", "Moves stand between the rows of pixels of a group of pairs", {"slots": "rows"})
    if s.slots == "rows":
        yield Change("groups", "Moves stand between groups of pairs only", {"slots": "groups"})


def _weight_reuse(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if not s.weight_reuse:
        words = "One preload of a weight block serves all pixels of the tile"
        if s.inner != "qkj":
            yield Change(
                "reuse-qkj", f"{words}; taps are the outermost loop of a step", {"weight_reuse": True, "inner": "qkj"}
            )
        yield Change("reuse", words, {"weight_reuse": True})


# ---------------------------------------------------------------- commands and scalar code

_FENCES = ("all", "step", "tile", "none")
_FENCE_WORDS = {"none": "No fence at all: the call ends with one anyway", "tile": "One fence per C tile",
                "step": "One fence per step"}  # fmt: skip


def _fewer_fences(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    for level in reversed(_FENCES[_FENCES.index(s.fences) + 1 :]):
        yield Change(f"fences-{level}", _FENCE_WORDS[level], {"fences": level})


def _hoist_config(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.config != "once":
        words = "All configuration stands before the loops; input, weights and bias have load ids of their own"
        yield Change("once", words, {"config": "once"})


def _unroll(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    for factor in (4, 2):
        if factor < s.ty and factor > s.unroll:
            yield Change(f"by-{factor}", f"The loop over rows of pixels unrolled by {factor}", {"unroll": factor})


def _compact(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.unroll > 1:
        yield Change("rolled", "No unrolling: less code to fetch cold", {"unroll": 1})


def _pointers(c: Conv, s: ConvSchedule) -> Iterator[Change]:
    if s.addressing == "index":
        yield Change(
            "operands", "The commands' 64-bit operands are incremented; a tap's geometry is worked out once per tap",
            {"addressing": "word", "inner": "qkj"},
        )  # fmt: skip
        yield Change("operands-only", "The commands' 64-bit operands are incremented", {"addressing": "word"})


OPTIONS: dict[str, ConvVariants] = {
    "conv-whole-plan": _whole_plan,
    "conv-input-band": _band,
    "conv-output-pixels": _output_pixels,
    "conv-first-taps": _first_taps,
    "larger-tile": _larger_tile,
    "square-tile-for-reuse": _other_tile,
    "k-tile-depth": _k_depth,
    "wide-loads": _wide_loads,
    "separate-banks": _separate_banks,
    "double-buffer-a": _double_buffer("a"),
    "double-buffer-b": _double_buffer("b"),
    "accumulator-ping-pong": _ping_pong,
    "prefetch-next-tile": _ahead("prefetch", "The next tile's loads stand before this tile's computes"),
    "interleave-loads-with-compute": _ahead("interleave", "The next tile's loads are spread between the computes"),
    "interleave-stores-with-compute": _interleave_stores,
    "keep-b-resident": _keep_b,
    "keep-panel-resident": _keep_panel,
    "loop-order": _loop_order,
    "overwrite-first": _overwrite,
    "bias-row-broadcast": _fill_ahead,
    "conv-moves-per-row": _per_row,
    "weight-reuse": _weight_reuse,
    "fewer-fences": _fewer_fences,
    "hoist-config": _hoist_config,
    "unroll-inner": _unroll,
    "compact-code": _compact,
    "pointer-increments": _pointers,
}
