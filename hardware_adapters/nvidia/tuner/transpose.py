"""Kernels for transposition from schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...schedules import first_line, validated
from ..planes import Matrix
from .writer import INCLUDES, LOAD4, STORE4, Writer

MARK = "// transpose schedule: "


class TransposeSchedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    staged: bool = Field(default=False, description="Square tiles are turned around in shared memory")
    tile: Literal[32, 64] = Field(default=32, description="Edge of such a tile")
    banks: Literal["none", "pad", "xor"] = Field(
        default="none", description="Against bank conflicts in the tile: a column of padding, or columns exchanged"
    )
    vector: Literal[1, 4] = Field(default=1, description="Floats per access of global memory, where rows are aligned")
    threads: Literal[64, 128, 256, 512, 1024] = Field(default=256, description="Per block")
    rows: Literal[1, 2, 4, 8] = Field(default=1, description="Of a thread, if not staged")
    ahead: bool = Field(default=False, description="A thread's loads are all under way before the first is used")
    restrict: bool = Field(default=False, description="Pointers are promised not to overlap")

    def with_(self, **changes: object) -> TransposeSchedule:
        """Raises ScheduleError."""
        return validated(TransposeSchedule, {**self.model_dump(), **changes})

    def fitted(self) -> TransposeSchedule:
        """One spelling for what makes no difference, and no more threads than a tile has accesses."""
        if not self.staged:
            return self.with_(tile=32, banks="none", vector=1, ahead=self.ahead and self.rows > 1)
        threads = min(self.threads, self.tile * self.tile // self.vector)
        steps = self.tile * self.tile // self.vector // threads
        return self.with_(rows=1, threads=threads, ahead=self.ahead and steps > 1)


def emit(_: Matrix, schedule: TransposeSchedule) -> str:
    """Of a fitted schedule."""
    return _Emitter(schedule).text()


class _Emitter(Writer):
    def __init__(self, schedule: TransposeSchedule) -> None:
        super().__init__()
        self.s = schedule
        self.head = "__global__ void transpose(const float *{0}x, float *{0}out, int64_t R, int64_t C)".format(
            "__restrict__ " if schedule.restrict else ""
        )

    def text(self) -> str:
        s = self.s
        how = f"tiles of {s.tile} x {s.tile} through shared memory" if s.staged else "neighbouring threads read a row"
        self.put(first_line(s, MARK), f"// out[c][r] = x[r][c]: {how}.", *INCLUDES, "")
        if s.vector > 1:
            self.whole(LOAD4)
            self.whole(STORE4)
        if s.staged:
            self._staged()
        else:
            self._plain()
        across, down = (s.tile, s.tile) if s.staged else (32, s.threads // 32 * s.rows)
        block = str(s.threads) if s.staged else f"dim3(32, {s.threads // 32})"
        with self.launch():
            self.put("int64_t R = dims[0], C = dims[1];")
            self.put(f"unsigned blocks = (unsigned)((C + {across - 1}) / {across} * ((R + {down - 1}) / {down}));")
            self.put(
                f"transpose<<<blocks, {block}, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);"
            )
        return super().text()

    def _plain(self) -> None:
        s = self.s
        down = s.threads // 32
        with self.block(self.head):
            self.put("int64_t across = (C + 31) / 32;  // blocks beside each other; grids are long in x only")
            self.put("int64_t c = blockIdx.x % across * 32 + threadIdx.x;")
            self.put(f"int64_t r = blockIdx.x / across * {down * s.rows} + threadIdx.y;")
            if s.rows == 1:
                self.put("if (r < R && c < C) out[c * R + r] = x[r * C + c];")
                return
            self.put("if (c >= C) return;")
            loop, row = f"for (int i = 0; i < {s.rows}; i++)", f"r + i * {down}"
            if not s.ahead:
                self.put(loop)
                self.put(f"    if ({row} < R) out[c * R + {row}] = x[({row}) * C + c];")
                return
            self.put(f"float kept[{s.rows}];")
            self.unroll()
            self.put(f"{loop} kept[i] = {row} < R ? x[({row}) * C + c] : 0.0f;")
            self.unroll()
            self.put(loop, f"    if ({row} < R) out[c * R + {row}] = kept[i];")

    def _staged(self) -> None:
        s = self.s
        steps = s.tile * s.tile // s.vector // s.threads
        width = f"{s.tile} + 1" if s.banks == "pad" else str(s.tile)
        with self.block(self.head):
            self.put(f"__shared__ float tile[{s.tile}][{width}];")
            self.put(f"int64_t across = (C + {s.tile - 1}) / {s.tile};  // tiles beside each other")
            self.put(f"int64_t r0 = blockIdx.x / across * {s.tile}, c0 = blockIdx.x % across * {s.tile};")
            kind, zero = ("float4", "make_float4(0.0f, 0.0f, 0.0f, 0.0f)") if s.vector == 4 else ("float", "0.0f")
            load = (
                f"r0 + i < R ? load4(x + (r0 + i) * C, c0 + j, C, 0.0f) : {zero}"
                if s.vector == 4
                else "r0 + i < R && c0 + j < C ? x[(r0 + i) * C + c0 + j] : 0.0f"
            )
            if s.ahead:
                self.put(f"{kind} kept[{steps}];")
                with self._items(steps):
                    self.put(f"kept[n] = {load};")
                with self._items(steps):
                    self._fill("kept[n]")
            else:
                with self._items(steps):
                    if s.vector == 4:
                        self.put(f"float4 v = {load};")
                    self._fill("v" if s.vector == 4 else load)
            self.put("__syncthreads();")
            with self._items(steps):
                if s.vector == 4:
                    values = ", ".join(self._at(f"j + {k}", "i") for k in range(4))
                    self.put(f"if (c0 + i < C) store4(out + (c0 + i) * R, r0 + j, R, make_float4({values}));")
                else:
                    self.put(f"if (c0 + i < C && r0 + j < R) out[(c0 + i) * R + r0 + j] = {self._at('j', 'i')};")

    @contextmanager
    def _items(self, steps: int) -> Iterator[None]:
        """A thread's accesses: row i, column j of the tile that is read, or of the one that is written."""
        s, per_row = self.s, self.s.tile // self.s.vector
        column = f"at % {per_row}" + (" * 4" if s.vector == 4 else "")
        self.unroll(s.ahead)
        with self.block(f"for (int n = 0; n < {steps}; n++)"):
            self.put(f"int at = threadIdx.x + n * {s.threads}, i = at / {per_row}, j = {column};")
            yield

    def _fill(self, value: str) -> None:
        if self.s.vector == 1:
            self.put(f"{self._at('i', 'j')} = {value};")
            return
        for k, part in enumerate("xyzw"):
            self.put(f"{self._at('i', f'j + {k}')} = {value}.{part};")

    def _at(self, row: str, column: str) -> str:
        """The place of an element of the tile."""
        if self.s.banks == "xor":
            return f"tile[{row}][({column}) ^ (({row}) % 32)]"
        return f"tile[{row}][{column}]"
