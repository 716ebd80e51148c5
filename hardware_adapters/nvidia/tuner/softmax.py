"""Softmax kernels from schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...schedules import CapacityError, first_line, validated
from ..rows import Rows
from .writer import INCLUDES, LOAD4, STORE4, Writer

MARK = "// softmax schedule: "
KEPT_VALUES = 64  # of a thread in registers

_WARP = """\
__device__ float in_warp(float value, bool largest) {
    for (int offset = 16; offset > 0; offset /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, value, offset);
        value = largest ? fmaxf(value, other) : value + other;
    }
    return value;
}
"""
_BLOCK = """\
// Maximum or sum over the block, in all of its threads.
__device__ float combined(float value, bool largest) {{
    __shared__ float partial[{warps}];
    value = in_warp(value, largest);
    __syncthreads();  // the values of the call before may still be read
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    value = partial[0];
    for (int warp = 1; warp < {warps}; warp++) value = largest ? fmaxf(value, partial[warp]) : value + partial[warp];
    return value;
}}
"""
_TREE = """\
// Maximum or sum over the block, in all of its threads: a tree of halves.
__device__ float combined(float value, bool largest) {{
    __shared__ float partial[{threads}];
    __syncthreads();  // the values of the call before may still be read
    partial[threadIdx.x] = value;
    __syncthreads();
    for (int half = {threads} / 2; half > 0; half /= 2) {{
        if ((int)threadIdx.x < half) {{
            float other = partial[threadIdx.x + half];
            partial[threadIdx.x] = largest ? fmaxf(partial[threadIdx.x], other) : partial[threadIdx.x] + other;
        }}
        __syncthreads();
    }}
    return partial[0];
}}
"""


class SoftmaxSchedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    row: Literal["thread", "warp", "block"] = Field(default="thread", description="What works on a row")
    threads: Literal[64, 128, 256, 512, 1024] = Field(default=128, description="Per block")
    passes: Literal["three", "online", "kept"] = Field(
        default="three",
        description="Maximum, sum and results by a pass each; the first two in one; or one, rows kept in registers",
    )
    reduce: Literal["tree", "shuffle"] = Field(default="tree", description="Of a block: in shared memory or by warps")
    vector: Literal[1, 4] = Field(default=1, description="Floats per access of global memory, where rows are aligned")
    inverse: bool = Field(default=False, description="One division per row, products per element")
    restrict: bool = Field(default=False, description="Pointers are promised not to overlap")

    def with_(self, **changes: object) -> SoftmaxSchedule:
        """Raises ScheduleError."""
        return validated(SoftmaxSchedule, {**self.model_dump(), **changes})

    def fitted(self) -> SoftmaxSchedule:
        """One spelling for what makes no difference."""
        if self.row == "block":
            return self
        return self.with_(
            reduce="shuffle" if self.row == "warp" else "tree",
            passes="online" if self.row == "thread" and self.passes == "kept" else self.passes,
        )

    @property
    def lanes(self) -> int:
        """Threads of a row."""
        return {"thread": 1, "warp": 32, "block": self.threads}[self.row]

    def kept(self, rows: Rows) -> int:
        """Accesses of a thread that cover a row."""
        return -(-rows.dims["C"] // (self.lanes * self.vector))


def check(rows: Rows, s: SoftmaxSchedule) -> None:
    """Raises CapacityError for rows that are too long for registers."""
    if s.passes == "kept" and (needed := s.kept(rows) * s.vector) > KEPT_VALUES:
        raise CapacityError("passes", "registers", needed, KEPT_VALUES, "values per thread")


def emit(rows: Rows, schedule: SoftmaxSchedule) -> str:
    """Of a fitted schedule. Raises ScheduleError."""
    check(rows, schedule)
    return _Emitter(rows, schedule).text()


class _Emitter(Writer):
    def __init__(self, rows: Rows, schedule: SoftmaxSchedule) -> None:
        super().__init__()
        self.s = schedule
        self.kept = schedule.kept(rows)

    def text(self) -> str:
        s = self.s
        passes = {"three": "three passes", "online": "two passes", "kept": "rows kept in registers"}[s.passes]
        what = "out[r][c] = exp(x[r][c] - max of row r) / sum over the row"
        self.put(first_line(s, MARK), f"// {what}: a {s.row} per row, {passes}.", *INCLUDES, "")
        if s.vector == 4:
            self.whole(LOAD4)
            self.whole(STORE4)
        if s.reduce == "shuffle":
            self.whole(_WARP)
        if s.row == "block":
            self.whole((_BLOCK if s.reduce == "shuffle" else _TREE).format(threads=s.threads, warps=s.threads // 32))
        keyword = "__restrict__ " if s.restrict else ""
        with self.block(f"__global__ void softmax(const float *{keyword}x, float *{keyword}out, int64_t R, int64_t C)"):
            self._row()
            if s.passes == "kept":
                with self.block(f"if (C <= {self.kept * s.lanes * s.vector})"):
                    self._kept()
                    self.put("return;")
            self._in_passes(online=s.passes != "three")
        per_block = s.threads // s.lanes
        blocks = "R" if per_block == 1 else f"(R + {per_block - 1}) / {per_block}"
        with self.launch():
            self.put("int64_t R = dims[0], C = dims[1];", f"unsigned blocks = (unsigned)({blocks});")
            arguments = "(const float *)buffers[0], (float *)buffers[1], R, C"
            self.put(f"softmax<<<blocks, {s.threads}, 0, stream>>>({arguments});")
        return super().text()

    def _row(self) -> None:
        s = self.s
        if s.row == "block":
            self.put("int64_t row = blockIdx.x;", "int lane = threadIdx.x;")
        elif s.row == "warp":
            self.put(f"int64_t row = blockIdx.x * (int64_t){s.threads // 32} + threadIdx.x / 32;")
            self.put("int lane = threadIdx.x % 32;", "if (row >= R) return;  // the whole warp")
        else:
            self.put(f"int64_t row = blockIdx.x * (int64_t){s.threads} + threadIdx.x;", "if (row >= R) return;")
        self.put("const float *in = x + row * C;")

    def _all(self, name: str, largest: bool) -> None:
        """What the threads of a row found, combined."""
        if self.s.row != "thread":
            function = "in_warp" if self.s.row == "warp" else "combined"
            self.put(f"{name} = {function}({name}, {'true' if largest else 'false'});")

    @contextmanager
    def _columns(self) -> Iterator[None]:
        """A thread's columns, from `c` on."""
        s = self.s
        first = "0" if s.row == "thread" else "lane"
        if s.vector == 4:
            first = "0" if s.row == "thread" else "4 * lane"
        with self.block(f"for (int64_t c = {first}; c < C; c += {s.lanes * s.vector})"):
            if s.vector == 4:
                self.put("float4 v = load4(in, c, C, -INFINITY);", "float part[4] = {v.x, v.y, v.z, v.w};")
            yield

    def _in_passes(self, online: bool) -> None:
        self.put("float top = -INFINITY, sum = 0.0f;")
        if online:
            with self._columns():
                self._online()
            if self.s.row != "thread":
                self.put("float mine = top;  // what this thread's sum is relative to")
                self._all("top", True)
                self.put("sum *= expf(mine - top);")
                self._all("sum", False)
        else:
            with self._columns():
                self.put(self._each("top = fmaxf(top, {});"))
            self._all("top", True)
            with self._columns():
                self.put(self._each("sum += expf({} - top);"))
            self._all("sum", False)
        self._inverse()
        with self._columns():
            if self.s.vector == 4:
                values = ", ".join(self._result(f"expf(part[{k}] - top)") for k in range(4))
                self.put(f"store4(out + row * C, c, C, make_float4({values}));")
            else:
                self.put(f"out[row * C + c] = {self._result('expf(in[c] - top)')};")

    def _online(self) -> None:
        """The sum is relative to the largest value so far. Of four, the first exists, so that `larger` is finite."""
        if self.s.vector == 4:
            self.put("float larger = fmaxf(fmaxf(fmaxf(part[0], part[1]), fmaxf(part[2], part[3])), top);")
            self.put("sum *= expf(top - larger);", "for (int k = 0; k < 4; k++) sum += expf(part[k] - larger);")
        else:
            self.put("float value = in[c], larger = fmaxf(top, value);")
            self.put("sum = sum * expf(top - larger) + expf(value - larger);")
        self.put("top = larger;")

    def _each(self, statement: str) -> str:
        return (
            statement.format("in[c]")
            if self.s.vector == 1
            else f"for (int k = 0; k < 4; k++) {statement.format('part[k]')}"
        )

    def _inverse(self) -> None:
        if self.s.inverse:
            self.put("float inverse = 1.0f / sum;")

    def _result(self, power: str) -> str:
        return f"{power} * inverse" if self.s.inverse else f"{power} / sum"

    def _kept(self) -> None:
        s, values = self.s, self.kept * self.s.vector
        self.put(f"float kept[{values}], top = -INFINITY, sum = 0.0f;")
        self.unroll()
        with self.block(f"for (int n = 0; n < {self.kept}; n++)"):
            self.put(f"int64_t c = (lane + n * {s.lanes}) * {s.vector};")
            if s.vector == 4:
                self.put("float4 v = load4(in, c, C, -INFINITY);")
                self.put(*(f"kept[4 * n + {k}] = v.{part};" for k, part in enumerate("xyzw")))
            else:
                self.put("kept[n] = c < C ? in[c] : -INFINITY;")
        loop = f"for (int n = 0; n < {values}; n++)"
        self.unroll()
        self.put(f"{loop} top = fmaxf(top, kept[n]);")
        self._all("top", True)
        self.unroll()
        self.put(f"{loop} sum += kept[n] = expf(kept[n] - top);")
        self._all("sum", False)
        self._inverse()
        self.unroll()
        with self.block(f"for (int n = 0; n < {self.kept}; n++)"):
            self.put(f"int64_t c = (lane + n * {s.lanes}) * {s.vector};")
            if s.vector == 4:
                parts = ", ".join(self._result(f"kept[4 * n + {k}]") for k in range(4))
                self.put(f"store4(out + row * C, c, C, make_float4({parts}));")
            else:
                self.put(f"if (c < C) out[row * C + c] = {self._result('kept[n]')};")
