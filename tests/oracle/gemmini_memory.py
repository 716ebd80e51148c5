"""DRAM, scratchpad and accumulator of the oracle, which know what was written."""

from __future__ import annotations

import copy
from typing import NamedTuple, Self

import numpy as np
from gemmini_arithmetic import added
from gemmini_isa import Array, Buffer, IllegalCommand


class Rows(NamedTuple):
    """Rows of the scratchpad or the accumulator."""

    in_accumulator: bool
    first: int
    count: int
    stride: int = 1


class Memories:
    def __init__(self, buffers: list[Buffer], array: Array) -> None:
        self.buffers, self.array = buffers, array
        self.scratchpad = np.zeros((array.scratchpad_rows, array.dim), array.element)
        self.accumulator = np.zeros((array.accumulator_rows, array.dim), array.sum)
        self.written = (np.zeros(array.scratchpad_rows, bool), np.zeros(array.accumulator_rows, bool))

    def copy(self) -> Self:
        """One that goes its own way, with buffers of its own."""
        twin = copy.copy(self)
        twin.buffers = [buffer._replace(data=buffer.data.copy()) for buffer in self.buffers]
        twin.scratchpad, twin.accumulator = self.scratchpad.copy(), self.accumulator.copy()
        twin.written = (self.written[0].copy(), self.written[1].copy())
        return twin

    def dram(self, address: int, size: int) -> np.ndarray:
        for buffer in self.buffers:
            offset = address - buffer.address
            if offset >= 0 and offset + size <= buffer.data.size:
                return buffer.data[offset : offset + size]
        raise IllegalCommand(f"DRAM address {address:#x}, {size} bytes")

    def dram_rows(self, address: int, rows: int, size: int, stride: int) -> np.ndarray:
        """A copy of rows of `size` bytes whose beginnings lie `stride` bytes apart."""
        extent = self.dram(address, (rows - 1) * stride + size)
        return np.ndarray((rows, size), np.uint8, extent, strides=(stride, 1)).copy()

    def dram_write(self, address: int, values: np.ndarray, stride: int) -> None:
        """Rows in their order: where they overlap the later one stays."""
        values = np.ascontiguousarray(values).view(np.uint8)
        rows, size = values.shape
        extent = self.dram(address, (rows - 1) * stride + size)
        if stride >= size:
            np.ndarray((rows, size), np.uint8, extent, strides=(stride, 1))[:] = values
            return
        for r, row in enumerate(values):
            extent[r * stride : r * stride + size] = row

    def write(self, rows: Rows, values: np.ndarray, accumulate: bool = False, column: int = 0) -> None:
        """Some columns of some rows, one row of `values` for each; the rest of them stays."""
        if rows.stride == 0:
            for value in values:
                self.write(rows._replace(count=1, stride=1), value[np.newaxis], accumulate, column)
            return
        memory, written, chosen = self._chosen(rows)
        target = memory[chosen, column : column + values.shape[1]]
        if accumulate:
            if not written[chosen].all():
                raise IllegalCommand(f"accumulates onto an unwritten one of {rows}")
            values = added(target, values)
        target[:] = values
        written[chosen] = True

    def read(self, rows: Rows, cols: int) -> np.ndarray:
        memory, written, chosen = self._chosen(rows)
        if not written[chosen].all():
            raise IllegalCommand(f"reads an unwritten one of {rows}")
        return memory[chosen, :cols]

    def _chosen(self, rows: Rows) -> tuple[np.ndarray, np.ndarray, slice | np.ndarray]:
        memory = self.accumulator if rows.in_accumulator else self.scratchpad
        end = rows.first + (rows.count - 1) * rows.stride + 1
        if rows.count == 0:
            chosen = slice(0)
        elif rows.first < 0 or end > len(memory):
            raise IllegalCommand(f"local {rows}")
        else:
            chosen = slice(rows.first, end, rows.stride) if rows.stride else np.full(rows.count, rows.first)
        return memory, self.written[rows.in_accumulator], chosen
