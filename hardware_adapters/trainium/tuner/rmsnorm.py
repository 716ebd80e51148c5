"""RMSNorm kernels from schedules."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...schedules import CapacityError, first_line, validated
from ..norms import EPSILON, Norm
from ..operators import PARTITIONS
from .gemm_schedule import SBUF_BYTES
from .writer import IMPORTS, Writer

MARK = "# rmsnorm schedule: "
BANK_COLUMNS = 512  # float32 of one PSUM bank
MIN_PIECE = 128  # columns


class NormSchedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    gain: Literal["each", "once", "product"] = Field(
        default="each", description="The gain on all partitions: loaded per tile, once, or one row times ones"
    )
    group: int = Field(default=1, ge=1, le=32, description="Rows of a partition in one transfer; they lie together")
    squares: Literal["vector", "scalar", "reduce"] = Field(
        default="vector",
        description="Squares by tensor_tensor or by activation, then summed; or both in one activation_reduce",
    )
    factor: Literal["separate", "fused"] = Field(
        default="separate", description="Mean and epsilon by a tensor_scalar before rsqrt, or as its scale and bias"
    )
    apply: Literal["two", "fused"] = Field(
        default="two", description="Times the factor, then times the gain; or both by one scalar_tensor_tensor"
    )
    scale_engine: Literal["vector", "scalar", "gpsimd"] = Field(default="vector", description="Of the factor, if two")
    gain_engine: Literal["vector", "gpsimd", "both"] = Field(default="vector", description="Of the gain, if two")
    in_place: bool = Field(default=False, description="Results overwrite what was loaded")
    pieces: Literal[1, 2, 4] = Field(default=1, description="Parts of a row that are finished and stored by themselves")

    def with_(self, **changes: object) -> NormSchedule:
        """Raises ScheduleError."""
        return validated(NormSchedule, {**self.model_dump(), **changes})

    def fitted(self, norm: Norm) -> NormSchedule:
        """No group larger than the problem, and one spelling for what makes no difference."""
        rows, columns = norm.dims.values()
        fused = self.apply == "fused"
        pieces = self.pieces
        while pieces > 1 and columns // pieces < MIN_PIECE:
            pieces //= 2
        return self.with_(
            group=max(1, min(self.group, rows // PARTITIONS)),
            pieces=pieces if self.group == 1 else 1,
            scale_engine="vector" if fused else self.scale_engine,
            gain_engine="vector" if fused else self.gain_engine,
        )  # fmt: skip


def check(norm: Norm, s: NormSchedule) -> None:
    """Raises CapacityError for what does not fit at once: rows, results, squares, the gain and its row."""
    rows = s.group * (1 if s.in_place else 2) + 2 + (s.gain == "product")
    if (needed := 4 * norm.dims["C"] * rows) > SBUF_BYTES:
        raise CapacityError("group, in_place", "SBUF", needed, SBUF_BYTES, "bytes per partition")


def emit(norm: Norm, schedule: NormSchedule) -> str:
    """Of a fitted schedule. Raises ScheduleError."""
    check(norm, schedule)
    return _Emitter(norm, schedule).text()


class _Emitter(Writer):
    def __init__(self, norm: Norm, schedule: NormSchedule) -> None:
        super().__init__()
        self.s = schedule
        self.rows, self.columns = norm.dims.values()

    def text(self) -> str:
        s = self.s
        self.put(first_line(s, MARK), *IMPORTS[:3], "", f"EPSILON = {EPSILON:g}", "", "", "@nki.jit")
        with self.block("def solution(x, gain)"):
            self.put("R, C = x.shape", "out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)")
            if s.gain != "each":
                self._gain("128")
            if s.factor == "fused":
                self.tile("epsilon", "128, 1")
                self.put("nisa.memset(dst=epsilon, value=EPSILON)")
            whole = self.rows - self.rows % (PARTITIONS * s.group) if s.group > 1 else 0
            if whole:
                with self.block(f"for r in range(0, {whole}, {PARTITIONS * s.group})"):
                    self._tile(s.group)
            if whole < self.rows:  # one row per partition, and the last tile may be shorter
                with self.block(f"for r in range({whole}, R, {PARTITIONS})"):
                    self.put(f"rows = min({PARTITIONS}, R - r)")
                    self._tile(1)
            self.put("return out")
        return super().text()

    def _gain(self, rows: str) -> None:
        self.tile("factor", f"{rows}, C")
        if self.s.gain != "product":
            self.put(f"nisa.dma_copy(dst=factor, src=gain.broadcast(0, {rows}))")
            return
        self.tile("row", "1, C")
        self.tile("ones", "1, 128")
        self.put("nisa.dma_copy(dst=row, src=gain)", "nisa.memset(dst=ones, value=1.0)")
        with self.block(f"for c in range(0, C, {BANK_COLUMNS})"):
            self.put(f"width = min({BANK_COLUMNS}, C - c)")
            self.tile("spread", "128, width", buffer="psum")
            self.put("nisa.nc_matmul(dst=spread, stationary=ones, moving=row[:, c:c + width])")
            self.put("nisa.tensor_copy(dst=factor[:, c:c + width], src=spread)")

    def _tile(self, group: int) -> None:
        """128 partitions, each with `group` rows that lie together in memory."""
        s = self.s
        rows, width = ("rows", "C") if group == 1 else (str(PARTITIONS), f"{group} * C")
        source, target = "x[r:r + rows, 0:C]", "out[r:r + rows, 0:C]"
        if group > 1:
            self.put(f"rows = {PARTITIONS}")
            source, target = (
                f"{name}[r:r + {PARTITIONS * group}, 0:C].reshape(({rows}, {width}))" for name in ("x", "out")
            )
        self.tile("data", f"{rows}, {width}")
        self.put(f"nisa.dma_copy(dst=data, src={source})")
        if s.gain == "each":
            self._gain("rows")
        pieces = group == 1 and s.pieces > 1
        if not s.in_place:
            self.tile("result", f"{rows}, {width}", "out.dtype")
        stored = "data" if s.in_place else "result"
        with self.block_if(group > 1, f"for i in range({group})"):
            part = "" if group == 1 else "[:, i * C:(i + 1) * C]"
            self._factor(f"data{part}")
            if s.gain_engine == "both":
                number = "r // 128" if group == 1 else "i"
                self.put(f"where = nisa.engine.gpsimd if {number} % 2 else nisa.engine.vector")
            if pieces:
                self._in_pieces(stored)
            else:
                self._times(f"data{part}", f"{stored}{part}", "factor[0:rows, :]")
        if not pieces:
            self.put(f"nisa.dma_copy(dst={target}, src={stored})")

    def _in_pieces(self, stored: str) -> None:
        width = -(-self.columns // self.s.pieces)
        with self.block(f"for c in range(0, C, {width})"):
            self.put(f"part = slice(c, min(C, c + {width}))")
            self._times("data[:, part]", f"{stored}[:, part]", "factor[0:rows, part]")
            self.put(f"nisa.dma_copy(dst=out[r:r + rows, part], src={stored}[:, part])")

    def _factor(self, data: str) -> None:
        """`scale` = 1 / the root of the mean square of each row."""
        s = self.s
        self.tile("squares", "rows, C")
        self.tile("total", "rows, 1")
        if s.squares == "reduce":
            self.put(
                f"nisa.activation_reduce(dst=squares, op=nl.square, data={data}, reduce_op=nl.add, reduce_res=total)"
            )
        else:
            if s.squares == "scalar":
                self.put(f"nisa.activation(dst=squares, op=nl.square, data={data})")
            else:
                self.put(f"nisa.tensor_tensor(dst=squares, data1={data}, data2={data}, op=nl.multiply)")
            self.put("nisa.tensor_reduce(dst=total, op=nl.add, data=squares, axis=1)")
        if s.factor == "separate":
            self.tile("mean", "rows, 1")
            self.put(
                "nisa.tensor_scalar(dst=mean, data=total, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, "
                "operand1=EPSILON)"
            )
        self.tile("scale", "rows, 1")
        if s.factor == "separate":
            self.put("nisa.activation(dst=scale, op=nl.rsqrt, data=mean)")
        else:
            self.put("nisa.activation(dst=scale, op=nl.rsqrt, data=total, scale=1.0 / C, bias=epsilon[0:rows, :])")

    def _times(self, data: str, result: str, gain: str) -> None:
        s = self.s
        if s.apply == "fused":
            self.put(
                f"nisa.scalar_tensor_tensor(dst={result}, data={data}, op0=nl.multiply, operand0=scale, "
                f"op1=nl.multiply, operand1={gain})"
            )
            return
        if s.scale_engine == "scalar":
            self.put(f"nisa.activation(dst={result}, op=nl.copy, data={data}, scale=scale)")
        else:
            engine = ", engine=nisa.engine.gpsimd" if s.scale_engine == "gpsimd" else ""
            self.put(f"nisa.tensor_scalar(dst={result}, data={data}, op0=nl.multiply, operand0=scale{engine})")
        engine = {"vector": "", "gpsimd": ", engine=nisa.engine.gpsimd", "both": ", engine=where"}[s.gain_engine]
        self.put(f"nisa.tensor_tensor(dst={result}, data1={result}, data2={gain}, op=nl.multiply{engine})")
