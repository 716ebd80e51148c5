"""DRAM, scratchpad and accumulator of the oracle, which know what was written."""

from __future__ import annotations

import numpy as np
from gemmini_arithmetic import added
from gemmini_isa import Array, Buffer, IllegalCommand, require


class Memories:
    def __init__(self, buffers: list[Buffer], array: Array) -> None:
        self.buffers, self.array = buffers, array
        self.scratchpad = np.zeros((array.scratchpad_rows, array.dim), array.element)
        self.accumulator = np.zeros((array.accumulator_rows, array.dim), array.sum)
        self.written = (np.zeros(array.scratchpad_rows, bool), np.zeros(array.accumulator_rows, bool))

    def dram(self, address: int, size: int) -> np.ndarray:
        for buffer in self.buffers:
            offset = address - buffer.address
            if offset >= 0 and offset + size <= buffer.data.size:
                return buffer.data[offset : offset + size]
        raise IllegalCommand(f"DRAM address {address:#x}, {size} bytes")

    def write(
        self, in_accumulator: bool, row: int, values: np.ndarray, accumulate: bool = False, column: int = 0
    ) -> None:
        """Some columns of one row; the rest of it stays."""
        memory = self.accumulator if in_accumulator else self.scratchpad
        written = self.written[in_accumulator]
        require(0 <= row < len(memory), f"local row {row}")
        target = memory[row, column : column + len(values)]
        if accumulate:
            require(bool(written[row]), f"accumulates onto unwritten row {row}")
            values = added(target, values)
        target[:] = values
        written[row] = True

    def read(self, in_accumulator: bool, row: int, cols: int) -> np.ndarray:
        memory = self.accumulator if in_accumulator else self.scratchpad
        require(0 <= row < len(memory) and bool(self.written[in_accumulator][row]), f"reads unwritten row {row}")
        return memory[row, :cols]
