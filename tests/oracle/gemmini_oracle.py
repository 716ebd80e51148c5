"""Gemmini's weight-stationary semantics in NumPy: commands in, scratchpad, accumulator and DRAM out.

Written from the public description of the ISA, for the 16x16 int8 configuration, and on purpose not from the
simulator's source: the two are compared on random command streams. Slow and plain; one method per command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

DIM = 16
SCRATCHPAD_ROWS, ACCUMULATOR_ROWS = 16384, 1024
GARBAGE = 0xFFFFFFFF
ACCUMULATOR, ACCUMULATE, FULL_WIDTH = 1 << 31, 1 << 30, 1 << 29
CONFIG, MVIN2, MVIN, MVOUT, COMPUTE_PRELOADED, COMPUTE_ACCUMULATED, PRELOAD, FLUSH, MVIN3 = 0, 1, 2, 3, 4, 5, 6, 7, 14


class Command(NamedTuple):
    funct: int
    rs1: int
    rs2: int


class IllegalCommand(Exception):
    """What a legal stream never does."""


class Buffer(NamedTuple):
    """A piece of DRAM at the address the commands use."""

    address: int
    data: np.ndarray  # uint8, one-dimensional


@dataclass
class _Load:
    stride: int
    scale: float
    block_stride: int
    shrunk: bool


class _Operand(NamedTuple):
    address: int
    rows: int
    cols: int

    @classmethod
    def of(cls, word: int) -> _Operand:
        return cls(word & 0xFFFFFFFF, word >> 48 & 0xFFFF, word >> 32 & 0xFFFF)


def round_half_even(values: np.ndarray) -> np.ndarray:
    return np.rint(values)  # np.rint rounds halves to even


def scaled_to_int8(values: np.ndarray, scale: float) -> np.ndarray:
    """float32(value) x float32 scale, rounded half to even, saturated."""
    product = values.astype(np.float32) * np.float32(scale)
    return np.clip(round_half_even(product), -128, 127).astype(np.int8)


def shifted_to_int8(values: np.ndarray, shift: int) -> np.ndarray:
    """Rounding right shift, half to even, saturated."""
    exact = values.astype(np.float64) / float(1 << shift)  # int32 / 2^shift is exact in float64
    return np.clip(round_half_even(exact), -128, 127).astype(np.int8)


@dataclass
class GemminiOracle:
    buffers: list[Buffer]
    scratchpad: np.ndarray = field(default_factory=lambda: np.zeros((SCRATCHPAD_ROWS, DIM), np.int8))
    accumulator: np.ndarray = field(default_factory=lambda: np.zeros((ACCUMULATOR_ROWS, DIM), np.int32))

    def __post_init__(self) -> None:
        self.written = {id(self.scratchpad): np.zeros(SCRATCHPAD_ROWS, bool)}
        self.written[id(self.accumulator)] = np.zeros(ACCUMULATOR_ROWS, bool)
        self.loads: dict[int, _Load] = {}
        self.store: tuple[int, float, bool] | None = None  # stride, scale, relu
        self.execute: dict[str, int] | None = None
        self.weights = np.zeros((DIM, DIM), np.int32)
        self.preloaded: tuple[_Operand, _Operand] | None = None  # B, C

    def run(self, commands: list[Command]) -> None:
        actions = {
            CONFIG: self.configure,
            MVIN: lambda a, b: self.mvin(0, a, b),
            MVIN2: lambda a, b: self.mvin(1, a, b),
            MVIN3: lambda a, b: self.mvin(2, a, b),
            MVOUT: self.mvout,
            PRELOAD: self.preload,
            COMPUTE_PRELOADED: lambda a, b: self.compute(True, a, b),
            COMPUTE_ACCUMULATED: lambda a, b: self.compute(False, a, b),
            FLUSH: lambda a, b: None,
        }
        for command in commands:
            actions[command.funct](command.rs1, command.rs2)

    # ------------------------------------------------------------ DRAM and local memories

    def dram(self, address: int, size: int) -> np.ndarray:
        for buffer in self.buffers:
            offset = address - buffer.address
            if offset >= 0 and offset + size <= buffer.data.size:
                return buffer.data[offset : offset + size]
        raise IllegalCommand(f"DRAM address {address:#x}, {size} bytes")

    def local(self, address: int) -> tuple[np.ndarray, int]:
        memory = self.accumulator if address & ACCUMULATOR else self.scratchpad
        row = address & 0x1FFFFFFF
        return memory, row

    def write(self, address: int, values: np.ndarray) -> None:
        """One row, or its first columns."""
        memory, row = self.local(address)
        if row >= len(memory):
            raise IllegalCommand(f"local row {row}")
        if memory is self.accumulator and address & ACCUMULATE:
            if not self.written[id(memory)][row]:
                raise IllegalCommand(f"accumulates onto unwritten row {row}")
            values = values.astype(np.int32) + memory[row, : len(values)]  # wraps
        memory[row, : len(values)] = values
        self.written[id(memory)][row] = True

    def read(self, address: int, cols: int) -> np.ndarray:
        memory, row = self.local(address)
        if row >= len(memory) or not self.written[id(memory)][row]:
            raise IllegalCommand(f"reads unwritten row {row}")
        return memory[row, :cols]

    # ------------------------------------------------------------ commands

    def configure(self, rs1: int, rs2: int) -> None:
        kind = rs1 & 3
        scale = float(np.uint32((rs1 if kind != 2 else rs2) >> 32).view(np.float32))
        if kind == 1:
            self.loads[rs1 >> 3 & 3] = _Load(rs2, scale, rs1 >> 16 & 0xFFFF, bool(rs1 >> 2 & 1))
        elif kind == 2:
            self.store = (rs2 & 0xFFFFFFFF, scale, bool(rs1 >> 2 & 3))
        elif kind == 0:
            if rs1 >> 7 & 1:
                raise IllegalCommand("config_ex for strides only is not modelled")
            self.execute = {
                "relu": rs1 >> 3 & 3,
                "a_transpose": rs1 >> 8 & 1,
                "b_transpose": rs1 >> 9 & 1,
                "a_stride": rs1 >> 16 & 0xFFFF,
                "c_stride": rs2 >> 48 & 0xFFFF,
                "shift": rs2 & 0xFFFFFFFF,
            }
            if not rs1 >> 2 & 1:
                raise IllegalCommand("output-stationary is not modelled")

    def mvin(self, number: int, rs1: int, rs2: int) -> None:
        to = _Operand.of(rs2)
        if number not in self.loads or not 1 <= to.rows <= DIM or not 1 <= to.cols <= 4 * DIM:
            raise IllegalCommand(f"mvin {to}")
        load = self.loads[number]
        wide = bool(to.address & ACCUMULATOR) and not load.shrunk
        size = 4 if wide else 1
        for r in range(to.rows):
            if rs1 == 0:
                row = np.zeros(to.cols, np.int32 if wide else np.int8)
            else:
                row = self.dram(rs1 + r * load.stride, to.cols * size).view(np.int32 if wide else np.int8)
            values = row if wide else scaled_to_int8(row, load.scale)
            for block in range(0, to.cols, DIM):
                at = to.address + block // DIM * load.block_stride + r
                self.write(at, values[block : block + DIM].astype(np.int32 if to.address & ACCUMULATOR else np.int8))

    def mvout(self, rs1: int, rs2: int) -> None:
        source = _Operand.of(rs2)
        if self.store is None or not 1 <= source.rows <= DIM or not 1 <= source.cols <= 4 * DIM:
            raise IllegalCommand(f"mvout {source}")
        stride, scale, relu = self.store
        full = bool(source.address & ACCUMULATOR and source.address & FULL_WIDTH)
        size = 4 if full else 1
        for r in range(source.rows):
            parts = []
            for block in range(0, source.cols, DIM):
                values = self.read(source.address + block + r, min(DIM, source.cols - block))
                if source.address & ACCUMULATOR and not full:
                    values = scaled_to_int8(values, scale)
                    values = np.maximum(values, 0) if relu else values
                parts.append(values)
            target = self.dram(rs1 + r * stride, source.cols * size)
            target[:] = np.concatenate(parts).view(np.uint8)

    def preload(self, rs1: int, rs2: int) -> None:
        self.preloaded = (_Operand.of(rs1), _Operand.of(rs2))

    def compute(self, new_weights: bool, rs1: int, rs2: int) -> None:
        if self.execute is None or self.preloaded is None:
            raise IllegalCommand("compute before config_ex or preload")
        e = self.execute
        b, c = self.preloaded
        a, d = _Operand.of(rs1), _Operand.of(rs2)
        if new_weights:
            self.weights = self.operand(b, 1, bool(e["b_transpose"]))
        left = self.operand(a, e["a_stride"], bool(e["a_transpose"]))
        result = left @ self.weights + self.operand(d, 1, False)
        if c.address == GARBAGE:
            return
        for r in range(c.rows):
            row = result[r, : c.cols]
            if not c.address & ACCUMULATOR:
                row = shifted_to_int8(row, e["shift"])
                row = np.maximum(row, 0) if e["relu"] == 1 else row
            self.write(c.address + r * e["c_stride"], row)

    def operand(self, at: _Operand, stride: int, transposed: bool) -> np.ndarray:
        """A 16x16 int32 matrix, zero beyond the operand's rows and columns; all zero for the garbage address."""
        matrix = np.zeros((DIM, DIM), np.int32)
        if at.address != GARBAGE:
            for r in range(at.rows):
                matrix[r, : at.cols] = self.read(at.address + r * stride, at.cols)
        return matrix.T if transposed else matrix
