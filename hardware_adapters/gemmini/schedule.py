"""Schedules of Gemmini GEMM kernels: every choice a kernel makes, its limits, and where its tiles lie on chip.

A kernel emitted from a schedule carries it on its first line (`// schedule: {...}`), so that a menu option can be
applied to the source mechanically: parse, change one field, emit again.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ..schedules import CapacityError, ScheduleError, fields_on_first_line, first_line, validated
from .problems import Gemm

DIM = 16  # rows and columns of the systolic array, and elements per local row
BANK_ROWS = 4096  # per scratchpad bank of 64 KiB
SCRATCHPAD_ROWS = 4 * BANK_ROWS
ACC_BANK_ROWS = 512  # per accumulator bank of 32 KiB
ACCUMULATOR_ROWS = 2 * ACC_BANK_ROWS

_MARK = "// schedule: "


class Schedule(BaseModel):
    """How one GEMM kernel tiles, places, moves and orders its work. Tiles are in elements; 'block' means 16x16."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ti: int = Field(default=16, ge=DIM, multiple_of=DIM, description="Rows of the C tile")
    tj: int = Field(default=16, ge=DIM, multiple_of=DIM, description="Columns of the C tile")
    tk: int = Field(default=16, ge=DIM, multiple_of=DIM, description="Depth of the A and B tiles")
    order: Literal["ij", "ji"] = Field(default="ij", description="Order of the loops over C tiles, outermost first")
    inner: Literal["ijk", "ikj", "jik", "jki", "kij", "kji"] = Field(default="kij", description="Block loops in a tile")
    a_keep: Literal["tile", "panel", "all"] = Field(default="tile", description="What of A stays on chip")
    b_keep: Literal["tile", "panel", "all"] = "tile"
    a_buffers: Literal[1, 2] = 1
    b_buffers: Literal[1, 2] = 1
    c_buffers: Literal[1, 2] = Field(default=1, description="C tiles in the accumulator; 2 = ping-pong")
    placement: Literal["packed", "split", "banked"] = Field(
        default="packed",
        description="packed: one after the other; split: A and B in different banks; banked: every buffer in its own",
    )
    a_width: Literal[16, 32, 48, 64] = Field(default=16, description="Columns per mvin of A")
    b_width: Literal[16, 32, 48, 64] = 16
    c_width: Literal[16, 32, 48, 64] = Field(default=16, description="Columns per mvout of C")
    load_order: Literal["down", "along"] = Field(default="down", description="mvins go down a column or along a row")
    loads: Literal["before", "prefetch", "interleave"] = Field(
        default="before", description="Where a tile's mvins stand"
    )
    stores: Literal["after", "early", "interleave"] = Field(
        default="after", description="Where the mvouts of a C tile stand"
    )
    init: Literal["zero", "overwrite"] = Field(default="zero", description="How a sum starts")
    weight_reuse: bool = Field(default=False, description="One preload of B serves all row blocks of the tile")
    config: Literal["each", "tile", "once"] = Field(
        default="each", description="Where the configuration commands stand"
    )
    load_ids: Literal["one", "separate"] = Field(
        default="one", description="mvin for all operands, or mvin/mvin2/mvin3"
    )
    fences: Literal["all", "step", "tile", "none"] = "tile"
    unroll_inner: int = Field(default=1, ge=1, le=64, description="Unroll factor of the innermost block loop")
    unroll_k: int = Field(
        default=1, ge=1, le=64, description="Unroll factor of the block loop over k, if not innermost"
    )
    addressing: Literal["index", "pointer"] = "index"
    edges: Literal["checked", "split"] = Field(
        default="checked", description="Partial tiles: checks, or code of their own"
    )

    def with_(self, **changes: object) -> Schedule:
        """A copy with some fields changed, validated. Raises ScheduleError."""
        return _validated({**self.model_dump(), **changes})

    def fitted(self, gemm: Gemm) -> Schedule:
        """The same schedule with no tile larger than the problem (rounded up to whole blocks)."""
        return self.with_(
            ti=min(self.ti, _blocks(gemm.m) * DIM),
            tj=min(self.tj, _blocks(gemm.n) * DIM),
            tk=min(self.tk, _blocks(gemm.k) * DIM),
        )


class Layout(NamedTuple):
    """First local rows and sizes. `*_step` is the distance of an operand's two buffers; rows are 16 elements wide."""

    a_base: int
    a_step: int
    a_rows: int
    b_base: int
    b_step: int
    b_rows: int
    c_step: int
    c_rows: int


def format_line(schedule: Schedule) -> str:
    """The first line of a kernel made from `schedule`."""
    return first_line(schedule, _MARK)


def parse_line(source: str) -> Schedule:
    """The schedule on a kernel's first line. Raises NoScheduleError (there is none), ScheduleError (it is wrong)."""
    return _validated(fields_on_first_line(source, _MARK))


def baseline_schedule(gemm: Gemm) -> Schedule:
    """The naive start: one 16x16 block at a time, everything reloaded, zero fill, a fence per block of C."""
    return Schedule().fitted(gemm)


def layout(gemm: Gemm, schedule: Schedule) -> Layout:
    """Where the tiles of a fitted schedule lie. Raises ScheduleError and CapacityError for what cannot be."""
    _check_choices(gemm, schedule)
    s = schedule
    a_blocks = _blocks(gemm.m) * _blocks(gemm.k) if s.a_keep == "all" else s.ti // DIM * (s.tk // DIM)
    b_blocks = _blocks(gemm.k) * _blocks(gemm.n) if s.b_keep == "all" else s.tk // DIM * (s.tj // DIM)
    a_rows, b_rows, c_rows = a_blocks * DIM, b_blocks * DIM, s.ti // DIM * s.tj
    a_step = b_step = 0
    if s.placement == "banked":
        a_step, b_step = _up(a_rows, BANK_ROWS), _up(b_rows, BANK_ROWS)
        a_end, b_end = a_step * s.a_buffers, b_step * s.b_buffers
        if a_end + b_end > SCRATCHPAD_ROWS:
            at_fault = "a" if a_end > b_end else "b"
            raise CapacityError(f"{at_fault}_keep, placement", "scratchpad", a_end + b_end, SCRATCHPAD_ROWS)
        b_base = SCRATCHPAD_ROWS // 2 if max(a_end, b_end) <= SCRATCHPAD_ROWS // 2 else SCRATCHPAD_ROWS - b_end
        c_step = _up(c_rows, ACC_BANK_ROWS)
    else:
        a_step, b_step, c_step = a_rows, b_rows, c_rows
        b_base = a_rows * s.a_buffers if s.placement == "packed" else _up(a_rows * s.a_buffers, BANK_ROWS)
    end = b_base + b_step * s.b_buffers if s.placement == "banked" else b_base + b_rows * s.b_buffers
    if end > SCRATCHPAD_ROWS:
        raise CapacityError("ti, tj, tk, a_keep, b_keep", "scratchpad", end, SCRATCHPAD_ROWS)
    if c_step * s.c_buffers > ACCUMULATOR_ROWS:
        raise CapacityError("ti, tj, c_buffers", "accumulator", c_step * s.c_buffers, ACCUMULATOR_ROWS)
    return Layout(0, a_step, a_rows, b_base, b_step, b_rows, c_step, c_rows)


def _check_choices(gemm: Gemm, s: Schedule) -> None:
    if s.a_keep == "panel" and (s.order != "ij" or s.tk < gemm.k):
        raise ScheduleError("a_keep", "a panel of A needs order 'ij' and tk >= K: it serves a row of C tiles")
    if s.b_keep == "panel" and (s.order != "ji" or s.tk < gemm.k):
        raise ScheduleError("b_keep", "a panel of B needs order 'ji' and tk >= K: it serves a column of C tiles")
    for name, keep, buffers in (("a_buffers", s.a_keep, s.a_buffers), ("b_buffers", s.b_keep, s.b_buffers)):
        if keep == "all" and buffers == 2:
            raise ScheduleError(name, "a matrix kept whole needs no second buffer")
    ahead = "all" in (s.a_keep, s.b_keep) or 2 in (s.a_buffers, s.b_buffers)
    if s.loads != "before" and not ahead:
        raise ScheduleError("loads", f"{s.loads!r} needs a second buffer for A or B to load ahead into")
    if s.stores == "interleave" and s.c_buffers == 1:
        raise ScheduleError("stores", "'interleave' needs c_buffers 2: a C tile is stored while the next is computed")
    if s.stores == "early" and s.inner[2] != "k":
        raise ScheduleError("stores", "'early' needs k innermost in `inner`: one block of C is done before the next")
    if s.weight_reuse and s.inner[2] != "i":
        raise ScheduleError("weight_reuse", "needs i innermost in `inner`: consecutive pairs use the same block of B")
    if s.load_ids == "one" and s.config != "each":
        raise ScheduleError("load_ids", "one id for operands of different strides needs config 'each'")


def _validated(fields: dict[str, object]) -> Schedule:
    return validated(Schedule, fields)


def _blocks(elements: int) -> int:
    return -(-elements // DIM)


def _up(rows: int, unit: int) -> int:
    return -(-rows // unit) * unit
