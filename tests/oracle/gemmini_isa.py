"""Gemmini's command numbers, address bits and array configurations, as docs/gemmini_semantics.md has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

CONFIG, MVIN2, MVIN, MVOUT, COMPUTE_PRELOADED, COMPUTE_ACCUMULATED, PRELOAD, FLUSH = range(8)
LOOP_WS, LOOP_BOUNDS, LOOP_AB, LOOP_DC, LOOP_STRIDES_AB, LOOP_STRIDES_DC = range(8, 14)
MVIN3 = 14
LOOP_CONV, CONV_1, CONV_2, CONV_3, CONV_4, CONV_5, CONV_6 = range(15, 22)
COUNTER = 126

GARBAGE = 0xFFFFFFFF
ACCUMULATOR, ACCUMULATE, FULL_WIDTH = 1 << 31, 1 << 30, 1 << 29
OS, WS = 0, 1
NONE, RELU, LAYERNORM, IGELU, SOFTMAX = range(5)
RESET, SUM, MEAN, VARIANCE, INV_STDDEV, MAX, SUM_EXP, INV_SUM_EXP = range(8)  # normalisation commands
NORM_SHIFT = 26
STAT_IDS = 4
DMA_BYTES = 64


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


@dataclass(frozen=True)
class Array:
    """One build of the generator: size of the systolic array, types, rows of the local memories."""

    name: str = "gemmini16-int8"
    dim: int = 16
    floating: bool = False
    scratchpad_rows: int = 16384
    accumulator_rows: int = 1024

    @cached_property
    def element(self) -> np.dtype:
        return np.dtype(np.float32 if self.floating else np.int8)

    @cached_property
    def sum(self) -> np.dtype:
        return np.dtype(np.float32 if self.floating else np.int32)

    @cached_property
    def blocks(self) -> int:
        """The most blocks of `dim` columns that one mvin or mvout moves."""
        return max(1, DMA_BYTES // (self.dim * self.element.itemsize))


DEFAULT = Array()
TINYMPC = Array("gemmini4-fp32", dim=4, floating=True, scratchpad_rows=16384, accumulator_rows=4096)
WIDE = Array("gemmini32-int8", dim=32, scratchpad_rows=8192, accumulator_rows=512)
ARRAYS = (DEFAULT, TINYMPC, WIDE)


class Operand(NamedTuple):
    address: int
    rows: int
    cols: int

    @classmethod
    def of(cls, word: int) -> Operand:
        return cls(word & GARBAGE, word >> 48 & 0xFFFF, word >> 32 & 0xFFFF)

    @property
    def word(self) -> int:
        return self.rows << 48 | self.cols << 32 | self.address

    @property
    def in_accumulator(self) -> bool:
        return bool(self.address & ACCUMULATOR)

    @property
    def full_width(self) -> bool:
        return bool(self.address & FULL_WIDTH)

    @property
    def norm_command(self) -> int:
        return self.address >> NORM_SHIFT & 7

    @property
    def row(self) -> int:
        return self.address & (1 << NORM_SHIFT) - 1


def bits(word: int, high: int, low: int) -> int:
    return word >> low & (1 << high - low + 1) - 1


def float_of(word: int) -> float:
    return float(np.uint32(word).view(np.float32))


def bits_of(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def signed(word: int) -> int:
    return (word & 0xFFFFFFFF) - ((word & 0x80000000) << 1)


def require(condition: bool, *message: object) -> None:
    if not condition:
        raise IllegalCommand(" ".join(map(str, message)))
