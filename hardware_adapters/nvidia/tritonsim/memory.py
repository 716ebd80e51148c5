"""The memory that kernels see: the problem's tensors and the scratch area, with walls around each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .errors import KernelFault

WALL_BYTES = 4096
WALL = 0xA5
ALIGNMENT = 256
GRANULE_BYTES = 4


class Buffer:
    """`values` (float32) between two walls; `shape` as kernels see it."""

    def __init__(self, name: str, role: str, shape: Sequence[int]) -> None:
        self.name, self.role, self.shape = name, role, tuple(shape)
        size = 4 * math.prod(self.shape)
        raw = np.zeros(size + 2 * WALL_BYTES + ALIGNMENT, np.uint8)
        first = -raw.ctypes.data % ALIGNMENT
        self._walls = (raw[first : first + WALL_BYTES], raw[first + WALL_BYTES + size :][:WALL_BYTES])
        for wall in self._walls:
            wall[:] = WALL
        self.values = raw[first + WALL_BYTES : first + WALL_BYTES + size].view(np.float32)
        self.start = self.values.ctypes.data
        self.end = self.start + size

    def intact(self) -> bool:
        return all(bool((wall == WALL).all()) for wall in self._walls)

    def element(self, address: int) -> str:
        """Where an address is, in the tensor's own indices."""
        index = np.unravel_index((address - self.start) // 4, self.shape)
        return f"{self.name}[{', '.join(str(int(i)) for i in index)}]"


class Memory:
    """Says where addresses lie. Raises KernelFault for those that no tensor has."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.buffers = sorted(buffers, key=lambda buffer: buffer.start)
        self._starts = np.array([buffer.start for buffer in self.buffers], np.int64)
        self._ends = np.array([buffer.end for buffer in self.buffers], np.int64)

    def placed(self, addresses: np.ndarray, size: int, what: str) -> list[tuple[Buffer, np.ndarray | slice]]:
        """The buffers that these addresses (int64, `size` bytes at each) lie in, each with its part of them."""
        low, high = int(addresses.min()), int(addresses.max())
        at = int(np.searchsorted(self._starts, low, "right")) - 1
        if at >= 0 and high + size <= self._ends[at]:
            self._aligned(addresses, size, what)
            return [(self.buffers[at], slice(None))]
        which = np.searchsorted(self._starts, addresses, "right") - 1
        outside = (which < 0) | (addresses + size > self._ends[which])
        if outside.any():
            raise KernelFault("illegal_address", self._outside(int(addresses[outside][0]), size, what))
        self._aligned(addresses, size, what)
        return [(self.buffers[number], np.flatnonzero(which == number)) for number in np.unique(which)]

    def _aligned(self, addresses: np.ndarray, size: int, what: str) -> None:
        if (addresses % size).any():
            raise KernelFault("misaligned_address", f"{what} {size} bytes at an address that is no multiple of {size}")

    def _outside(self, address: int, size: int, what: str) -> str:
        near = min(self.buffers, key=lambda b: max(b.start - address, address + size - b.end))
        after = address + size - near.end
        where = f"{after} bytes beyond the end" if after > 0 else f"{near.start - address} bytes before the start"
        if max(near.start - address, after) > 1 << 30:
            return f"{what} {size} bytes at {address:#x}, near no tensor: is this a pointer at all?"
        element = (address - near.start) // 4
        return f"{what} {size} bytes {where} of {near.name} (element {element} of {math.prod(near.shape)})"
