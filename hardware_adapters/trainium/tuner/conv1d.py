"""Depthwise convolutions from schedules."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...schedules import CapacityError, ScheduleError, first_line, validated
from ..conv1d import Conv1d
from ..operators import PARTITIONS
from .gemm_schedule import SBUF_BYTES
from .writer import IMPORTS, Writer

MARK = "# conv1d schedule: "


class ConvSchedule(BaseModel):
    """A piece is `width` outputs of 128 rows, one row per partition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Literal["channels", "flat"] = Field(
        default="channels", description="A tile's rows: channels of one image, or rows of all images one after another"
    )
    width: int = Field(default=128, ge=16, description="Outputs of a row in a piece")
    taps: Literal["piece", "once"] = Field(default="piece", description="Filters loaded for every piece, or once")
    data: Literal["tap", "piece", "row"] = Field(
        default="tap", description="Input loaded for every tap; once a piece; or a whole row for all its pieces"
    )
    first: Literal["clear", "vector", "scalar", "gpsimd"] = Field(
        default="clear", description="How a sum starts: cleared, or the first product written by this engine"
    )
    add: Literal["two", "fused"] = Field(default="two", description="Product, then sum; or one scalar_tensor_tensor")
    product_engine: Literal["vector", "scalar", "gpsimd"] = Field(default="vector", description="Of products, if two")
    engines: Literal["one", "alternate", "third"] = Field(
        default="one", description="Sums on the Vector engine; every second or third piece on GpSimd"
    )
    separate_results: bool = Field(default=False, description="The last sum is written to a tile of its own")

    def with_(self, **changes: object) -> ConvSchedule:
        """Raises ScheduleError."""
        return validated(ConvSchedule, {**self.model_dump(), **changes})

    def fitted(self, conv: Conv1d) -> ConvSchedule:
        """No piece longer than a row, and one spelling for what makes no difference."""
        outputs, taps = conv.dims["W"] - conv.dims["F"] + 1, conv.dims["F"]
        width = max(16, min(self.width, outputs))
        return self.with_(
            width=width,
            rows="channels" if conv.dims["N"] == 1 else self.rows,
            data="piece" if self.data == "row" and width >= outputs else self.data,
            product_engine="vector" if self.add == "fused" and self.engines == "one" else self.product_engine,
            separate_results=self.separate_results and taps > 1,
        )


def check(conv: Conv1d, s: ConvSchedule) -> None:
    """Raises ScheduleError, and CapacityError for what does not fit at once."""
    _, c, w, f = conv.dims.values()
    if s.rows == "flat" and s.taps == "once" and c % PARTITIONS and PARTITIONS % c:
        raise ScheduleError("taps", "with rows 'flat' the same filters serve every tile only if C divides 128")
    loaded = {"tap": s.width, "piece": s.width + f - 1, "row": w}[s.data]
    tiles = 2 * loaded + s.width * (2 + (s.add == "two" or s.engines != "one") + s.separate_results)
    kept = f * (-(-c // PARTITIONS) if s.taps == "once" else 2)
    if (needed := 4 * (tiles + kept)) > SBUF_BYTES:
        raise CapacityError("width, data", "SBUF", needed, SBUF_BYTES, "bytes per partition")


def emit(conv: Conv1d, schedule: ConvSchedule) -> str:
    """Of a fitted schedule. Raises ScheduleError."""
    check(conv, schedule)
    return _Emitter(conv, schedule).text()


class _Emitter(Writer):
    def __init__(self, conv: Conv1d, schedule: ConvSchedule) -> None:
        super().__init__()
        self.s = schedule
        self.channels, self.taps = conv.dims["C"], conv.dims["F"]

    def text(self) -> str:
        s = self.s
        self.put(first_line(s, MARK), *IMPORTS, "@nki.jit")
        with self.block("def solution(x, weights)"):
            self.put("N, C, W = x.shape", "_, F = weights.shape", "V = W - F + 1")
            self.put("out = nl.ndarray((N, C, V), dtype=x.dtype, buffer=nl.shared_hbm)")
            if s.rows == "flat":
                self.put("lines, results = x.reshape((N * C, W)), out.reshape((N * C, V))")
            if s.taps == "once":
                self._all_taps()
            if s.rows == "flat":
                with self.block(f"for r in range(0, N * C, {PARTITIONS})"):
                    self.put(f"rows = min({PARTITIONS}, N * C - r)")
                    self._row("lines[r:r + rows, {}]", "results[r:r + rows, {}]", "r")
            else:
                with (
                    self.block("for n in range(N)"),
                    self.block(f"for c in range(0, C, {PARTITIONS})"),
                ):
                    self.put(f"rows = min({PARTITIONS}, C - c)")
                    self._row("x[n, c:c + rows, {}]", "out[n, c:c + rows, {}]", "c")
            self.put("return out")
        return super().text()

    # ------------------------------------------------------------ loads

    def _all_taps(self) -> None:
        """A tile of filters for each tile of channels; one for all where rows repeat within a tile."""
        if self.s.rows == "flat" and self.channels < PARTITIONS:
            self.tile("taps", f"{PARTITIONS}, F")
            with self.block(f"for r in range(0, {PARTITIONS}, C)"):
                self.put("nisa.dma_copy(dst=taps[r:r + C, :], src=weights)")
            return
        self.put("filters = []")
        with self.block(f"for c in range(0, C, {PARTITIONS})"):
            self.put(f"rows = min({PARTITIONS}, C - c)")
            self._load_taps("c")
            self.put("filters.append(taps)")

    def _load_taps(self, at: str) -> None:
        self.tile("taps", "rows, F")
        if self.s.rows == "channels" or self.channels % PARTITIONS == 0:
            start = at if at == "c" else f"{at} % C"
            self.put(f"nisa.dma_copy(dst=taps, src=weights[{start}:{start} + rows, 0:F])")
            return
        # Rows of the next image begin with the first channel again.
        with self.block(f"for image in range({at} // C, ({at} + rows - 1) // C + 1)"):
            self.put(f"start, end = max({at}, image * C), min({at} + rows, image * C + C)")
            source = "weights[start - image * C:end - image * C, 0:F]"
            self.put(f"nisa.dma_copy(dst=taps[start - {at}:end - {at}, :], src={source})")

    def _row(self, source: str, target: str, at: str) -> None:
        s = self.s
        if s.taps == "once" and not (s.rows == "flat" and self.channels < PARTITIONS):
            self.put(f"taps = filters[{'c' if at == 'c' else 'r % C'} // {PARTITIONS}]")
        if s.data == "row":
            self.tile("row", "rows, W")
            self.put(f"nisa.dma_copy(dst=row, src={source.format('0:W')})")
        with self.block(f"for v in range(0, V, {s.width})"):
            self.put(f"width = min({s.width}, V - v)")
            if s.taps == "piece":
                self._load_taps(at)
            if s.data == "piece":
                self.tile("data", "rows, width + F - 1")
                self.put(f"nisa.dma_copy(dst=data, src={source.format('v:v + width + F - 1')})")
            self.tile("total", "rows, width")
            if s.engines == "one":
                self._sum(source, s.add == "fused", "")
            else:
                every = 2 if s.engines == "alternate" else 3
                number = f"({at} // {PARTITIONS} + v // {s.width}{' + n' if at == 'c' else ''})"
                with self.block(f"if {number} % {every} == {every - 1}"):
                    self._sum(source, False, "gpsimd")
                with self.block("else"):
                    self._sum(source, s.add == "fused", "")
            stored = "result" if s.separate_results else "total"
            self.put(f"nisa.dma_copy(dst={target.format('v:v + width')}, src={stored})")

    # ------------------------------------------------------------ sums

    def _sum(self, source: str, fused: bool, engine: str) -> None:
        """All taps of one piece; `engine` gpsimd: its instructions there, but for what a schedule gives the Scalar."""
        s = self.s
        where = ", engine=nisa.engine.gpsimd" if engine else ""
        if s.separate_results:
            self.tile("result", "rows, width")
        start = 0 if s.first == "clear" else 1
        if s.first == "clear":
            self.put(f"nisa.memset(dst=total, value=0.0{where})")
        else:
            target = "total" if self.taps > 1 or not s.separate_results else "result"
            by = "gpsimd" if engine and s.first == "vector" else s.first
            self._product(target, self._slice(source, "0"), "0", by)
        last = "result" if s.separate_results else "total"
        end = "F - 1" if s.separate_results else "F"
        with self.block(f"for f in range({start}, {end})"):
            self._add("total", self._slice(source, "f"), "f", fused, where, engine)
        if s.separate_results:
            self._add(last, self._slice(source, "F - 1"), "F - 1", fused, where, engine)

    def _slice(self, source: str, tap: str) -> str:
        """The input of one tap. Loads it where every tap has a tile of its own."""
        if self.s.data == "tap":
            return source.format(f"v + {tap}:v + {tap} + width" if tap != "0" else "v:v + width")
        if self.s.data == "row":
            return f"row[:, v + {tap}:v + {tap} + width]" if tap != "0" else "row[:, v:v + width]"
        return f"data[:, {tap}:{tap} + width]"

    def _loaded(self, piece: str) -> str:
        if self.s.data != "tap":
            return piece
        self.tile("data", "rows, width")
        self.put(f"nisa.dma_copy(dst=data, src={piece})")
        return "data"

    def _product(self, target: str, piece: str, tap: str, engine: str) -> None:
        data, column = self._loaded(piece), f"taps[0:rows, {tap}:{tap} + 1]"
        if engine == "scalar":
            self.put(f"nisa.activation(dst={target}, op=nl.copy, data={data}, scale={column})")
        else:
            where = ", engine=nisa.engine.gpsimd" if engine == "gpsimd" else ""
            self.put(f"nisa.tensor_scalar(dst={target}, data={data}, op0=nl.multiply, operand0={column}{where})")

    def _add(self, target: str, piece: str, tap: str, fused: bool, where: str, engine: str) -> None:
        if fused:
            data = self._loaded(piece)
            self.put(
                f"nisa.scalar_tensor_tensor(dst={target}, data={data}, op0=nl.multiply, "
                f"operand0=taps[0:rows, {tap}:{tap} + 1], op1=nl.add, operand1=total)"
            )
            return
        self.tile("product", "rows, width")
        by = self.s.product_engine
        self._product("product", piece, tap, "gpsimd" if engine and by == "vector" else by)
        self.put(f"nisa.tensor_tensor(dst={target}, data1=total, data2=product, op=nl.add{where})")
