"""Schedules of matrix products: every choice a kernel makes, and its limits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...schedules import CapacityError, ScheduleError, fields_on_first_line, first_line, validated
from ..gemm import Gemm
from ..operators import BYTES

MARK = "# gemm schedule: "
ROWS, COLUMNS, DEPTH = 128, 512, 128  # of one product: stationary columns, moving columns, contraction
PSUM_BANKS = 8
SBUF_BYTES = 184 << 10  # per partition, of the smallest machine's 192 KiB: columns and such need some


class GemmSchedule(BaseModel):
    """A block is `bm` x `bn` tiles of 128 x 512 sums; a step adds `bk` products of 128 to each of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bm: int = Field(default=1, ge=1, le=64, description="Tiles of 128 rows in a block")
    bn: int = Field(default=1, ge=1, le=16, description="Tiles of 512 columns in a block")
    bk: int = Field(default=1, ge=1, le=1024, description="Tiles of 128 along K that a step loads and multiplies")
    order: Literal["mn", "nm"] = Field(default="mn", description="Order of the loops over blocks, outermost first")
    keep_a: bool = Field(
        default=False, description="a_t stays in SBUF: a panel with M outermost, all of it with N outermost"
    )
    keep_b: bool = Field(default=False, description="The same for b, with M and N exchanged")
    panel: Literal["ahead", "use"] = Field(
        default="ahead", description="When a panel is loaded: before its loop, or each tile at its first products"
    )
    sums: Literal["psum", "sbuf"] = Field(default="psum", description="Where a block's sums lie between steps")
    products: Literal["given", "split3"] = Field(
        default="given",
        description="Of float32: in float32; or in bfloat16 as high*high + low*high + high*low",
    )
    low_engine: Literal["vector", "gpsimd"] = Field(default="vector", description="What computes the low parts")
    copy_engine: Literal["vector", "scalar", "both"] = Field(default="vector", description="What empties PSUM")
    store: Literal["tile", "block"] = Field(default="tile", description="One store per tile, or per row of a block")

    def with_(self, **changes: object) -> GemmSchedule:
        """A copy with some fields changed, validated. Raises ScheduleError."""
        return validated(GemmSchedule, {**self.model_dump(), **changes})

    def fitted(self, gemm: Gemm) -> GemmSchedule:
        """The same schedule with no block larger than the problem, and one spelling for what makes no difference."""
        depth = tiles(gemm)[2]
        bm, bn, bk = (min(have, most) for have, most in zip((self.bm, self.bn, self.bk), tiles(gemm), strict=True))
        if self.keep_a and self.keep_b:
            bk = depth  # nothing is left to be loaded in steps
        products = self.products if gemm.dtype == "float32" else "given"
        return self.with_(
            bm=bm, bn=bn, bk=bk,
            sums="psum" if bk >= depth else self.sums,
            panel=self.panel if panels(self) else "ahead",
            products=products,
            low_engine=self.low_engine if products != "given" else "vector",
            store="tile" if bn == 1 else self.store,
        )  # fmt: skip


def panels(schedule: GemmSchedule) -> str:
    """Which operand, a or b, is kept as a panel of the outer loop's block while the other is loaded in steps."""
    if schedule.keep_a == schedule.keep_b:
        return ""
    name = "a" if schedule.keep_a else "b"
    return name if name == {"m": "a", "n": "b"}[schedule.order[0]] else ""


def tiles(gemm: Gemm) -> tuple[int, int, int]:
    """How many tiles M, N and K fall into."""
    m, n, k = gemm.dims.values()
    return -(-m // ROWS), -(-n // COLUMNS), -(-k // DEPTH)


def format_line(schedule: GemmSchedule) -> str:
    return first_line(schedule, MARK)


def parse_line(source: str) -> GemmSchedule:
    """Raises NoScheduleError, ScheduleError."""
    return validated(GemmSchedule, fields_on_first_line(source, MARK))


def check(gemm: Gemm, schedule: GemmSchedule) -> None:
    """Of a fitted schedule. Raises CapacityError for tiles that do not fit at once."""
    s = schedule
    m_tiles, n_tiles, depth = tiles(gemm)
    if s.sums == "psum" and s.bk < depth and s.bm * s.bn > PSUM_BANKS:
        raise CapacityError("bm, bn, sums", "PSUM", s.bm * s.bn, PSUM_BANKS, "banks")
    if s.sums == "sbuf" and s.bk >= depth:
        raise ScheduleError("sums", "'sbuf' needs several steps along K")
    given = BYTES[gemm.dtype]
    a_blocks = -(-m_tiles // s.bm) if s.order == "nm" else 1
    b_blocks = -(-n_tiles // s.bn) if s.order == "mn" else 1
    # Kept tiles are there once; others twice, so that the next step can be loaded meanwhile. High and low parts take as
    # much together as what they are made of.
    a = s.bm * ROWS * (depth * a_blocks if s.keep_a else 2 * min(s.bk, depth)) * given
    b = s.bn * COLUMNS * (depth * b_blocks if s.keep_b else 2 * min(s.bk, depth)) * given
    results = COLUMNS * (2 * s.bn if s.store == "block" else 2) * given
    totals = s.bm * s.bn * COLUMNS * 4 if s.sums == "sbuf" else 0
    split = {"given": 0, "split3": max(s.bm * ROWS, s.bn * COLUMNS)}[s.products]
    staging = 2 * split * given
    if (needed := a + b + results + totals + staging) > SBUF_BYTES:
        raise CapacityError("bm, bn, bk, keep_a, keep_b", "SBUF", needed, SBUF_BYTES, "bytes per partition")
