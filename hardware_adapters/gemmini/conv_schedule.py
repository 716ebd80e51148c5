"""Schedules of Gemmini convolution kernels: every choice such a kernel makes, its limits, and where its parts lie.

A convolution is a sum of matrix products over the taps of its kernel. The input pixels of a band of rows lie in the
scratchpad one after the other, a row each, so that every tap reads the same band, shifted. Padding is not computed:
each tap has a rectangle of outputs that it reaches. Where one compute covers several rows (`merge`), columns of zeros
stand between them instead. See `ConvLayout`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ..schedules import CapacityError, ScheduleError, fields_on_first_line, first_line, validated
from .conv import Conv
from .schedule import ACC_BANK_ROWS, ACCUMULATOR_ROWS, BANK_ROWS, DIM, SCRATCHPAD_ROWS

_MARK = "// conv schedule: "


class ConvSchedule(BaseModel):
    """How one convolution kernel tiles, places, moves and orders its work.

    A C tile is `images` images x `ty` output rows, whole rows, x `tj` output channels; a step adds the products of `tk`
    input channels, of one tap (`taps` each) or of all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ty: int = Field(default=1, ge=1, description="Output rows of an image in a C tile")
    images: int = Field(default=1, ge=1, description="Images in a C tile; more than one only if ty is a whole image")
    tj: int = Field(default=16, ge=DIM, multiple_of=DIM, description="Output channels of a C tile")
    tk: int = Field(default=16, ge=DIM, multiple_of=DIM, description="Input channels of a step")
    taps: Literal["each", "band"] = Field(
        default="each", description="each: the input is loaded again for every tap; band: once, all taps read it"
    )
    order: Literal["yj", "jy"] = Field(default="yj", description="Loops over C tiles, outermost first")
    a_keep: Literal["tile", "panel"] = Field(
        default="tile", description="panel: a band stays, with all its channels, for all output channels"
    )
    b_keep: Literal["tile", "panel", "all"] = Field(
        default="tile", description="panel: the weights of a C tile's channels stay for all bands; all: every weight"
    )
    a_buffers: Literal[1, 2] = 1
    b_buffers: Literal[1, 2] = 1
    c_buffers: Literal[1, 2] = Field(default=1, description="C tiles in the accumulator; 2 = ping-pong")
    placement: Literal["packed", "split", "banked"] = "packed"
    a_width: Literal[16, 32, 48, 64] = Field(default=16, description="Channels per mvin of the input")
    b_width: Literal[16, 32, 48, 64] = Field(default=16, description="Channels per mvin of the weights")
    loads: Literal["before", "prefetch", "interleave"] = "before"
    start: Literal["whole", "taps"] = Field(
        default="whole",
        description="taps: the first step's weights are loaded a tap ahead of their use, not all before",
    )
    stores: Literal["after", "interleave"] = "after"
    slots: Literal["groups", "rows"] = Field(
        default="groups",
        description="Where interleaved moves stand: before each group of pairs that share weights, or before each row "
        "of pixels in it but the first",
    )
    init: Literal["zero", "overwrite", "ahead"] = Field(
        default="zero",
        description="zero: a C tile begins with the bias, or zeros, loaded first; overwrite: with its first products; "
        "ahead: as zero, but loaded between the products of the tile before, once that one's predecessor is stored",
    )
    weight_reuse: bool = Field(default=False, description="One preload of a weight block serves all pixels of the tile")
    merge: int = Field(default=1, ge=1, le=16, description="Output rows that one compute covers, padding between them")
    phases: bool = Field(
        default=False,
        description="For strides: pixels lie sorted by their place in a stride x stride cell, so that a tap reads "
        "neighbouring rows and several output rows can be merged",
    )
    inner: Literal["jqk", "qkj"] = Field(
        default="jqk", description="Loops over output channel blocks, taps, input channel blocks in a step"
    )
    config: Literal["each", "once"] = Field(default="each", description="Where the configuration commands stand")
    fences: Literal["all", "step", "tile", "none"] = "tile"
    unroll: int = Field(default=1, ge=1, le=16, description="Unroll factor of the loop over rows of pixels")
    addressing: Literal["index", "word"] = Field(
        default="index", description="word: the commands' 64-bit operands are incremented"
    )

    def with_(self, **changes: object) -> ConvSchedule:
        """A copy with some fields changed, validated. Raises ScheduleError."""
        return _validated({**self.model_dump(), **changes})

    def fitted(self, conv: Conv) -> ConvSchedule:
        """The same schedule with no tile larger than the problem; tiles of channels divide them, in blocks of 16."""
        return self.with_(
            ty=min(self.ty, conv.out_height),
            images=divisor(conv.batch, self.images) if self.ty >= conv.out_height else 1,
            tj=divisor(blocks(conv.channels_out), self.tj // DIM) * DIM,
            tk=divisor(blocks(conv.channels_in), self.tk // DIM) * DIM,
        )


class ConvLayout(NamedTuple):
    """Where a fitted schedule's parts lie, in local rows.

    Input pixel (row r of the band, column x) of channel block c of a buffer: `c * plane + r * pitch + lead + x`; zeros
    right of a row are those left of the next. With phases a band is sorted by (row, column) modulo the stride, counted
    from the padding's first pixel:
    `((row % stride * stride + column % stride) * band + row / stride) * pitch + column / stride`.
    Output pixel (y, x) of channel block j: `j * outputs + y * c_pitch + x`.
    """

    band: int  # input rows of one image in a tile; of one phase, where there are phases
    cells: int  # phases: by row and column in a cell; 1 without
    pitch: int
    lead: int  # columns of zeros before each row
    plane: int
    c_pitch: int
    outputs: int
    a_step: int
    a_rows: int
    b_base: int
    b_step: int
    b_rows: int
    c_step: int


def format_line(schedule: ConvSchedule) -> str:
    """The first line of a kernel made from `schedule`."""
    return first_line(schedule, _MARK)


def parse_line(source: str) -> ConvSchedule:
    """The schedule on a kernel's first line. Raises NoScheduleError (there is none), ScheduleError (it is wrong)."""
    return _validated(fields_on_first_line(source, _MARK))


def baseline_schedule(conv: Conv) -> ConvSchedule:
    """The naive start: a row of output pixels, 16 channels, everything loaded for every tap, a fence per C tile."""
    return ConvSchedule().fitted(conv)


def layout(conv: Conv, schedule: ConvSchedule) -> ConvLayout:
    """Where the parts of a fitted schedule lie. Raises ScheduleError and CapacityError for what cannot be."""
    _check_choices(conv, schedule)
    s = schedule
    lead = conv.padding if s.merge > 1 and not s.phases else 0
    cells = conv.stride**2 if s.phases else 1
    if s.phases:
        shift = (conv.kernel - 1) // conv.stride
        band, pitch = s.ty + shift, conv.out_width + shift
    elif s.taps == "band":
        band, pitch = (s.ty - 1) * conv.stride + conv.kernel, conv.width + lead
    else:
        band, pitch = s.ty, conv.out_width
    plane = s.images * cells * band * pitch + lead
    c_pitch = pitch if s.merge > 1 else conv.out_width
    outputs = s.images * s.ty * c_pitch
    a_rows = plane * (blocks(conv.channels_in) if s.a_keep == "panel" else s.tk // DIM)
    b_k = s.tk if s.b_keep == "tile" else blocks(conv.channels_in) * DIM
    b_j = blocks(conv.channels_out) if s.b_keep == "all" else s.tj // DIM
    b_rows = (1 if s.taps == "each" and s.b_keep == "tile" else conv.kernel**2) * b_k * b_j
    c_rows = outputs * (s.tj // DIM)
    a_step, b_step, c_step = a_rows, b_rows, c_rows
    if s.placement == "banked":
        a_step, b_step, c_step = _up(a_rows, BANK_ROWS), _up(b_rows, BANK_ROWS), _up(c_rows, ACC_BANK_ROWS)
    b_base = a_step * s.a_buffers if s.placement != "split" else _up(a_step * s.a_buffers, BANK_ROWS)
    end = b_base + b_step * s.b_buffers
    if end > SCRATCHPAD_ROWS:
        raise CapacityError("ty, images, tj, tk, a_keep, b_keep, placement", "scratchpad", end, SCRATCHPAD_ROWS)
    if c_step * s.c_buffers > ACCUMULATOR_ROWS:
        raise CapacityError("ty, images, tj, c_buffers", "accumulator", c_step * s.c_buffers, ACCUMULATOR_ROWS)
    return ConvLayout(band, cells, pitch, lead, plane, c_pitch, outputs, a_step, a_rows, b_base, b_step, b_rows, c_step)


def _check_choices(conv: Conv, s: ConvSchedule) -> None:
    if s.taps == "each":
        for name, plain in (("loads", "before"), ("a_keep", "tile"), ("b_keep", "tile"), ("merge", 1)):
            if getattr(s, name) != plain:
                raise ScheduleError(
                    name, f"needs taps 'band': a tap's own tile is loaded where it is used, not {plain!r}"
                )
    if s.images > 1 and s.ty < conv.out_height:
        raise ScheduleError("images", "more than one needs ty to be the height of the output")
    if s.a_keep == "panel" and s.order != "yj":
        raise ScheduleError("a_keep", "a band that stays needs order 'yj': it serves all output channels")
    if s.b_keep == "panel" and s.order != "jy":
        raise ScheduleError("b_keep", "a panel of weights needs order 'jy': it serves all bands")
    if s.b_keep == "all" and s.b_buffers == 2:
        raise ScheduleError("b_buffers", "weights kept whole need no second buffer")
    kept = s.b_keep == "all" or (s.a_keep == "panel" or s.b_keep == "panel")
    if s.loads != "before" and not (kept or 2 in (s.a_buffers, s.b_buffers)):
        raise ScheduleError("loads", f"{s.loads!r} needs a second buffer for input or weights to load ahead into")
    if s.start == "taps" and (s.loads == "before" or s.inner != "qkj"):
        raise ScheduleError("start", "'taps' needs loads ahead, and the taps outermost in a step (inner 'qkj')")
    if s.stores == "interleave" and s.c_buffers == 1:
        raise ScheduleError("stores", "'interleave' needs c_buffers 2: a C tile is stored while the next is computed")
    if s.slots == "rows" and s.ty - conv.padding <= s.merge:
        raise ScheduleError("slots", "'rows' needs several rows of pixels in every group of pairs")
    if s.phases and (s.taps == "each" or conv.stride == 1 or conv.kernel < conv.stride):
        raise ScheduleError("phases", "needs taps 'band', a stride, and a kernel that is not smaller than it")
    wide = conv.out_width + (conv.kernel - 1) // conv.stride if s.phases else conv.width + conv.padding
    if s.merge > 1 and not s.phases and (conv.stride > 1 or conv.out_width > wide):
        raise ScheduleError("merge", "needs stride 1 or phases, and no more padding than keeps a row's outputs apart")
    if s.merge > 1 and s.merge * wide > DIM:
        raise ScheduleError("merge", f"{s.merge} rows with the padding between them are more than {DIM} pixels")
    if s.init == "overwrite" and 2 * conv.padding >= conv.kernel:
        raise ScheduleError("init", "'overwrite' needs a tap that reaches every output: padding below half the kernel")
    if s.init == "ahead" and s.stores != "interleave":
        raise ScheduleError("init", "'ahead' needs stores 'interleave': the loads follow the stores of the same buffer")
    if s.merge > s.ty:
        raise ScheduleError("merge", "a tile has fewer rows")


def _validated(fields: dict[str, object]) -> ConvSchedule:
    return validated(ConvSchedule, fields)


def blocks(elements: int) -> int:
    """Blocks of 16 that hold so many elements."""
    return -(-elements // DIM)


def divisor(whole: int, most: int) -> int:
    """The largest divisor of `whole` that is at most `most`."""
    return next(d for d in range(min(most, whole), 0, -1) if whole % d == 0)


def _up(rows: int, unit: int) -> int:
    return -(-rows // unit) * unit
