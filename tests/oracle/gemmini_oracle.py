"""Gemmini's semantics in NumPy: commands in, scratchpad, accumulator and DRAM out.

Written from docs/gemmini_semantics.md, for any array configuration, and on purpose not from the simulator's source: the
two are compared on random command streams. Slow and plain; one method per command.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gemmini_arithmetic import multiplied, rectified, rounding_shift, scaled
from gemmini_conv import ConvLoop
from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    CONFIG,
    COUNTER,
    DEFAULT,
    FLUSH,
    GARBAGE,
    MVIN,
    MVIN2,
    MVIN3,
    MVOUT,
    NONE,
    OS,
    PRELOAD,
    RELU,
    RESET,
    WS,
    Array,
    Buffer,
    Command,
    IllegalCommand,
    Operand,
    bits,
    float_of,
    require,
)
from gemmini_loop import MatmulLoop
from gemmini_memory import Memories, Rows
from gemmini_store import Store

__all__ = ["Buffer", "Command", "GemminiOracle", "IllegalCommand"]

_CONFIGURED = "compute before config_ex or preload"


@dataclass(frozen=True)
class Load:
    stride: int
    scale: float
    block_stride: int
    shrunk: bool
    repeats: int


@dataclass(frozen=True)
class Execute:
    dataflow: int
    relu: bool
    a_transpose: bool
    b_transpose: bool
    a_stride: int
    c_stride: int
    shift: int


class GemminiOracle(Memories):
    """One machine after reset, with these pieces of DRAM."""

    def __init__(self, buffers: list[Buffer], array: Array = DEFAULT) -> None:
        super().__init__(buffers, array)
        self.loads: dict[int, Load] = {}
        self.store = Store(array)
        self.execute: Execute | None = None
        self.preloaded: tuple[Operand, Operand] | None = None  # B or D, and C
        self.stationary: np.ndarray | None = None  # WS: weights; OS: partial sums
        self.read_out = False  # OS: the partial sums have gone to C
        self.matmul_loop = MatmulLoop(array)
        self.conv_loop = ConvLoop(array)

    def copy(self) -> GemminiOracle:
        twin = super().copy()
        twin.loads, twin.store = self.loads.copy(), self.store.copy()
        twin.matmul_loop, twin.conv_loop = self.matmul_loop.copy(), self.conv_loop.copy()
        return twin

    def run(self, commands: list[Command]) -> None:
        for command in commands:
            self.step(command)

    def step(self, command: Command) -> None:
        funct, a, b = command
        match funct:
            case f if f == CONFIG:
                self.configure(a, b)
            case f if f in (MVIN, MVIN2, MVIN3):
                self.mvin({MVIN: 0, MVIN2: 1, MVIN3: 2}[f], a, b)
            case f if f == MVOUT:
                self.mvout(a, b)
            case f if f == PRELOAD:
                self.preload(a, b)
            case f if f in (COMPUTE_PRELOADED, COMPUTE_ACCUMULATED):
                self.compute(f == COMPUTE_PRELOADED, a, b)
            case f if f in (FLUSH, COUNTER):
                pass
            case f if self.matmul_loop.takes(f):
                self.run(self.matmul_loop.step(command, self))
            case f if self.conv_loop.takes(f):
                self.run(self.conv_loop.step(command, self))
            case _:
                raise IllegalCommand(f"funct {funct}")

    # ------------------------------------------------------------ configuration

    def configure(self, rs1: int, rs2: int) -> None:
        kind = rs1 & 3
        if kind == 0:
            self.configure_execute(rs1, rs2)
        elif kind == 1:
            number = bits(rs1, 4, 3)
            require(number < 3, "config_ld id 3")
            repeats = max(1, bits(rs1, 15, 8))
            self.loads[number] = Load(rs2, float_of(rs1 >> 32), bits(rs1, 31, 16), bool(rs1 >> 2 & 1), repeats)
        elif kind == 2:
            self.store.configure(rs1, rs2)
        else:
            self.store.configure_norm(rs1, rs2)

    def configure_execute(self, rs1: int, rs2: int) -> None:
        old = self.execute
        if bits(rs1, 7, 7):  # strides only
            if old is None:
                raise IllegalCommand("strides before config_ex")
            new = Execute(
                old.dataflow, old.relu, old.a_transpose, old.b_transpose, bits(rs1, 31, 16), rs2 >> 48, old.shift
            )
        else:
            transposes = bool(bits(rs1, 8, 8)), bool(bits(rs1, 9, 9))
            dataflow, shift = bits(rs1, 2, 2), rs2 & 0xFFFFFFFF
            new = Execute(dataflow, bits(rs1, 4, 3) == RELU, *transposes, bits(rs1, 31, 16), rs2 >> 48, shift)
        require(new.shift < 32 and not (self.array.floating and new.shift), f"sys_shift {new.shift}")
        both, b_alone = new.a_transpose and new.b_transpose, new.b_transpose and not new.a_transpose
        require(not (both if new.dataflow == WS else b_alone), "one transposer only")
        if old is not None and old.dataflow != new.dataflow:
            self.stationary = None  # the other dataflow's registers mean something else
        self.execute = new

    # ------------------------------------------------------------ moves

    def mvin(self, number: int, rs1: int, rs2: int) -> None:
        array, to = self.array, Operand.of(rs2)
        if number not in self.loads:
            raise IllegalCommand("mvin before config_ld")
        load = self.loads[number]
        require(1 <= to.rows <= array.dim and 1 <= to.cols <= array.blocks * array.dim, "mvin", to)
        require(load.block_stride >= to.rows, "block stride below rows")
        require(to.in_accumulator or not to.address >> 26, "flags on a scratchpad address")
        require(load.repeats == 1 or (not to.in_accumulator and load.repeats * to.cols <= array.dim), "pixel repeats")
        wide = to.in_accumulator and not load.shrunk
        kind = array.sum if wide else array.element
        if rs1 == 0:
            values = np.zeros((to.rows, to.cols), kind)
        else:
            values = self.dram_rows(rs1, to.rows, to.cols * kind.itemsize, load.stride).view(kind)
            if array.floating or not wide:  # integer accumulator loads have no scaler
                values = scaled(values, load.scale, array)
        values = values.astype(array.sum if to.in_accumulator else array.element)
        for block in range(0, to.cols, array.dim):
            row = (to.address & 0x1FFFFFFF) + block // array.dim * load.block_stride
            part = values[:, block : block + array.dim]
            self.write(Rows(to.in_accumulator, row, to.rows), part, bool(to.address & ACCUMULATE))
            if load.repeats > 1:
                for r in range(to.rows):
                    self.repeat(row + r, part[r], load.repeats)

    def repeat(self, row: int, values: np.ndarray, repeats: int) -> None:
        """Pixel repeats: copies one row up and one pixel to the right each.

        None leaves its half of the scratchpad, as in the RTL: the functional model overwrites the other half's weights.
        """
        half = len(self.scratchpad) // 2
        floor = half if row >= half else 0
        for n in range(1, repeats):
            if row - n >= floor:
                self.write(Rows(False, row - n, 1), values[np.newaxis], column=n * len(values))

    def mvout(self, rs1: int, rs2: int) -> None:
        array, source, store = self.array, Operand.of(rs2), self.store
        if store.stride is None:
            raise IllegalCommand("mvout before config_st")
        require(source.in_accumulator or not source.address >> 26, "flags on a scratchpad address")
        plain = store.activation in (NONE, RELU)
        if source.full_width:
            fits = source.cols <= array.dim and source.norm_command == RESET and plain and not store.pooling.stride
            require(fits, "full-width mvout")
        if store.pooling.stride:
            require(plain and source.norm_command == RESET and 1 <= source.cols <= array.dim, "pooling mvout", source)
            return self.pool(rs1, source)
        require(1 <= source.rows <= array.dim and 1 <= source.cols <= array.blocks * array.dim, "mvout", source)
        blocks = [
            self.read(Rows(source.in_accumulator, source.row + block, source.rows), min(array.dim, source.cols - block))
            for block in range(0, source.cols, array.dim)
        ]
        if source.in_accumulator:
            store.normalise(blocks, source.norm_command)
            if source.norm_command != RESET:
                return None
            if not source.full_width:
                blocks = [store.outputs(block) for block in blocks]
        self.dram_write(rs1, np.concatenate(blocks, axis=1), store.stride)
        return None

    def pool(self, rs1: int, source: Operand) -> None:
        p, stride = self.store.pooling, self.store.stride or 0
        require(p.size > 0, "pooling window of 0")
        for porow in range(p.porows):
            for pocol in range(p.pocols):
                best = np.full((1, source.cols), -np.inf if self.array.floating else -128, self.array.element)
                for window in range(p.size * p.size):
                    orow = porow * p.stride + window // p.size - p.upad
                    ocol = pocol * p.stride + window % p.size - p.lpad
                    values = np.zeros((1, source.cols), self.array.element)  # padding counts as 0
                    if 0 <= orow < p.orows and 0 <= ocol < p.ocols:
                        row = Rows(source.in_accumulator, source.row + orow * p.ocols + ocol, 1)
                        values = self.read(row, source.cols)
                        values = self.store.outputs(values) if source.in_accumulator else values
                    best = np.where(values > best, values, best)  # of two zeros the first
                self.dram_write(rs1 + (porow * p.out_dim + pocol) * stride, best, 0)

    # ------------------------------------------------------------ products

    def preload(self, rs1: int, rs2: int) -> None:
        self.preloaded = (Operand.of(rs1), Operand.of(rs2))

    def compute(self, fresh: bool, rs1: int, rs2: int) -> None:
        if self.execute is None or self.preloaded is None:
            raise IllegalCommand(_CONFIGURED)
        e = self.execute
        (loaded, c), self.preloaded = self.preloaded, None
        require(max(c.rows, c.cols) <= self.array.dim, "C", c)
        if fresh:
            self.stationary = self.operand(loaded, 1, e.dataflow == WS and e.b_transpose).astype(self.array.sum)
            self.read_out = False
        if self.stationary is None:
            raise IllegalCommand("compute_accumulated without a compute_preloaded")
        first, second = Operand.of(rs1), Operand.of(rs2)
        require(first.address != GARBAGE, "no A: undefined in the RTL and in the functional model")
        if e.dataflow == WS and loaded.address == GARBAGE and c.address != GARBAGE:
            moved = max(first.rows, 0 if second.address == GARBAGE else second.rows)
            require(c.rows <= moved, "more rows of C than of A and D: the RTL stops when it has no more rows to feed")
        left = self.operand(first, e.a_stride, e.a_transpose)
        right = self.operand(second, 1, e.dataflow == OS and e.b_transpose)
        if e.dataflow == WS:
            result = multiplied(left, self.stationary, right.astype(self.array.sum))
        else:
            require(not self.read_out, "output-stationary sums were read out already")
            result = self.stationary = multiplied(left, right, self.stationary)
            self.read_out = c.address != GARBAGE
        if c.address != GARBAGE:
            self.write_result(c, result)

    def write_result(self, c: Operand, result: np.ndarray) -> None:
        e = self.execute
        if e is None:
            raise IllegalCommand(_CONFIGURED)
        require(c.in_accumulator or not c.address >> 26, "flags on a scratchpad address")
        if e.dataflow == OS:
            require(e.c_stride == 1, "output-stationary C stride")  # the RTL steps backwards from the last row
            require(
                not (e.shift and c.in_accumulator), "sys_shift into the accumulator: RTL and functional model differ"
            )
            if not self.array.floating:  # 20 wires leave the array
                result = np.clip(rounding_shift(result, e.shift), -(1 << 19), (1 << 19) - 1).astype(np.int32)
        if not c.in_accumulator and not self.array.floating:
            result = np.clip(result, -128, 127)  # WS: sys_shift does not apply, in the RTL and in the functional model
        if not c.in_accumulator and e.relu:
            result = rectified(result)
        rows = Rows(c.in_accumulator, c.address & 0x1FFFFFFF, c.rows, e.c_stride)
        accumulate = bool(c.address & ACCUMULATOR and c.address & ACCUMULATE)
        self.write(rows, result[: c.rows, : c.cols], accumulate)

    def operand(self, at: Operand, stride: int, transposed: bool) -> np.ndarray:
        """A DIM x DIM matrix, zero beyond the logical matrix's rows and columns; all zero for the garbage address."""
        dim = self.array.dim
        matrix = np.zeros((dim, dim), self.array.element)
        if at.address == GARBAGE:
            return matrix
        require(not at.address >> 26, "operands come from the scratchpad")
        require(max(at.rows, at.cols) <= dim, "operand", at)
        rows, cols = (at.cols, at.rows) if transposed else (at.rows, at.cols)  # as they lie
        matrix[:rows, :cols] = self.read(Rows(False, at.address, rows, stride), cols)
        return matrix.T if transposed else matrix
