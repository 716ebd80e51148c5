"""A tensor as launchers and Triton see it: an address, a shape and a type, no contents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class Addressed:
    """Dense and row-major; sizes and strides in elements."""

    __slots__ = ("_address", "_strides", "dtype", "shape")

    def __init__(self, address: int, shape: Sequence[int], dtype: Any) -> None:
        self._address, self.shape, self.dtype = address, tuple(shape), dtype
        self._strides = tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def numel(self) -> int:
        return math.prod(self.shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def stride(self, dim: int | None = None) -> Any:
        return self._strides if dim is None else self._strides[dim]

    def __repr__(self) -> str:
        """The same wherever a launcher is called: it must not tell the compiler from the interpreter."""
        return f"<tensor {list(self.shape)}>"

    def data_ptr(self) -> int:
        return self._address
