"""Tensors on chip with block dimensions."""

from __future__ import annotations

from typing import Any, NoReturn

from ..dtypes import DType
from ..errors import fail
from .indexing import Index
from .tensor import Tile


class Blocks:
    """A tensor on chip with block dimensions in front of the partitions: one tile for each block."""

    __slots__ = ("_dtype", "_lead", "_space", "_tiles", "shape")

    def __init__(self, lead: tuple[int, ...], tiles: dict[tuple[int, ...], Tile]) -> None:
        first = next(iter(tiles.values()))
        for field, value in (
            ("_lead", lead), ("_tiles", tiles), ("_dtype", first.dtype), ("_space", first.buffer),
            ("shape", (*lead, *first.shape)),
        ):  # fmt: skip
            object.__setattr__(self, field, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", f"{name!r} of a tensor cannot be set")

    @property
    def dtype(self) -> DType:
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def buffer(self) -> str:
        return self._space

    def __repr__(self) -> str:
        return f"blocks({self._space}, {self._dtype.name}, shape {list(self.shape)})"

    def _chosen(self, key: Any) -> tuple[Any, tuple[Any, ...]]:
        keys = key if isinstance(key, tuple) else (key,)
        lead, rest = keys[: len(self._lead)], keys[len(self._lead) :]
        at: list[int] = []
        for part, extent in zip(lead, self._lead, strict=False):
            value = part._start if isinstance(part, Index) and not any(part._steps) else part
            if isinstance(value, bool) or not isinstance(value, int):
                fail(
                    "bad_index",
                    f"{self!r}: block dimension {len(at)} takes a number (one block), not {type(part).__name__}",
                )
            if not -extent <= value < extent:
                fail("out_of_bounds", f"{self!r}: index {value} of block dimension {len(at)} is not in 0..{extent - 1}")
            at.append(value % extent)
        if len(at) == len(self._lead):
            return self._tiles[tuple(at)], rest
        found = {index[len(at) :]: tile for index, tile in self._tiles.items() if list(index[: len(at)]) == at}
        return Blocks(self._lead[len(at) :], found), ()

    def __getitem__(self, key: Any) -> Any:
        found, rest = self._chosen(key)
        return found[rest] if rest else found

    def __setitem__(self, key: Any, value: Any) -> None:
        found, rest = self._chosen(key)
        if isinstance(found, Blocks):
            fail("bad_index", f"{self!r}: an assignment writes one block: {len(self._lead)} block indices are needed")
        found[rest or ...] = value

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        fail("unsupported", f"unsupported API: {name} of a tensor with block dimensions")
