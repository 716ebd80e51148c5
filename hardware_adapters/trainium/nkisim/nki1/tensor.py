"""Tiles of NKI 1: views by index tiles and slices, results that move into what they are assigned to, PSUM sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import DType, uninitialised
from ..errors import fail
from ..machine import PARTITIONS, Access, Machine, current
from ..region import Region
from ..sealed import unbroken
from ..tensor import ON_CHIP, Memory, Tensor
from .indexing import Mask, Where

ALL = Ellipsis  # of a result: every element was computed


class Memory1(Memory):
    """`alias`: where the tile's only writer writes instead. `zeroed`: holds zeros that no instruction wrote yet.

    `place`: what several blocks share under direct allocation; it holds the one that was written last.
    """

    __slots__ = ("alias", "origin", "place", "zeroed")

    def __init__(self, machine: Machine, name: str, space: str, values: np.ndarray, written: bool) -> None:
        super().__init__(machine, name, space, values, written)
        self.alias: Access | None = None
        self.origin: int | None = None  # of a result: the instruction that computed it
        self.zeroed = False
        self.place: list[Memory1] | None = None


class Tile(Tensor):
    """A tensor, or a view of one. `_pending`: a view that leaves its tensor, until a mask narrows it."""

    __slots__ = ("_mask", "_pending", "_valid")

    def __init__(
        self, memory: Memory, values: np.ndarray, written: np.ndarray | None, region: Region, dtype: DType
    ) -> None:
        super().__init__(memory, values, written, region, dtype)
        object.__setattr__(self, "_pending", None)
        object.__setattr__(self, "_valid", ALL)
        object.__setattr__(self, "_mask", None)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in Tile.__slots__ and name not in Tensor.__slots__:
            fail("forbidden", f"{name!r} of a tensor cannot be set")
        object.__setattr__(self, name, value)

    @property
    def itemsize(self) -> int:
        return self._dtype.itemsize

    # ------------------------------------------------------------ views

    @unbroken
    def __getitem__(self, key: Any) -> Tile:
        if isinstance(key, (Mask, bool)):
            chosen = view_of(self, ())
            chosen._mask = key if self._mask is None else self._mask & key
            chosen._pending = self._pending
            return chosen
        from .views import indexed

        return indexed(self, key)

    @unbroken
    def __setitem__(self, key: Any, value: Any) -> None:
        from .assign import assign

        assign(self[key], value)

    @unbroken
    def reshape(self, *shape: Any) -> Tile:
        wanted = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return adopt(super().reshape(tuple(int(n) for n in wanted)))

    @unbroken
    def broadcast_to(self, shape: Sequence[int]) -> Tile:
        from .isa import broadcast_tile

        return broadcast_tile(self, tuple(shape), "nki.language.broadcast_to")

    @unbroken
    def astype(self, dtype: Any) -> Tile:
        from .language import copy

        return copy(self, dtype=dtype)

    @unbroken
    def expand_dims(self, axis: int) -> Tile:
        at = axis + self.ndim + 1 if axis < 0 else axis
        return self.reshape((*self.shape[:at], 1, *self.shape[at:]))

    # ------------------------------------------------------------ operators

    @unbroken
    def __iadd__(self, other: Any) -> Tile:
        from .assign import add_into

        add_into(self, other)
        return self

    # ------------------------------------------------------------ what instructions use

    def _access(self) -> Access:
        memory = self._memory
        if isinstance(memory, Memory1) and memory.alias is not None:
            return memory.alias
        return super()._access()

    def _read(self, api: str, argument: str) -> np.ndarray:
        self._inside(api, argument)
        memory = self._memory
        if isinstance(memory, Memory1) and memory.zeroed and memory.written is not None:
            _write_zeros(memory, api)
        if isinstance(memory, Memory1) and memory.place and memory.place[0] is not memory:
            fail("overwritten", f"{api}: {argument}={self!r}: another block that shares its place was written since")
        return super()._read(api, argument)

    def _write(self, api: str, values: np.ndarray) -> None:
        self._inside(api, "dst")
        super()._write(api, values)
        memory = self._memory
        if isinstance(memory, Memory1) and memory.place is not None:
            memory.place[:] = [memory]

    def _inside(self, api: str, argument: str) -> None:
        if self._pending is not None:
            fail("out_of_bounds", f"{api}: {argument}: {self._pending.complaint()}; a mask= would keep it inside")


def _binary(name: str, swapped: bool = False) -> Any:
    @unbroken
    def method(self: Tile, other: Any) -> Any:
        from .language import operate

        return operate(name, other, self) if swapped else operate(name, self, other)

    return method


for _name, _op in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
}.items():  # fmt: skip
    setattr(Tile, f"__{_name}__", _binary(_op))
    setattr(Tile, f"__r{_name}__", _binary(_op, swapped=True))
for _name, _op in {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}.items():  # fmt: skip
    setattr(Tile, f"__{_name}__", _binary(_op))
Tile.__neg__ = lambda self: _binary("multiply")(self, -1.0)  # type: ignore[attr-defined]
Tile.__hash__ = object.__hash__  # type: ignore[method-assign]


def view_of(tile: Tensor, narrowed: Any) -> Tile:
    return Tile(tile._memory, tile._values, tile._written, tile._region, tile._dtype)


def adopt(tensor: Tensor) -> Tile:
    """The same tensor as NKI 1 sees it."""
    return tensor if isinstance(tensor, Tile) else view_of(tensor, ())


def _write_zeros(memory: Memory1, api: str) -> None:
    """The zeros of nl.zeros in PSUM, when something else than a sum of products uses them."""
    values, written = memory.values, memory.written
    assert written is not None
    if not written.all():
        box = tuple((0, n) for n in values.shape)
        n = values.size // values.shape[0]
        current(api).issue(
            "memset", "vector", max(64, n), reads=(), writes=(Access(memory.index, box),),
            shape=(values.shape[0], n), dtype=str(values.dtype),
        )  # fmt: skip
    memory.written = None
    memory.zeroed = False


def fresh(shape: tuple[int, ...], dtype: DType, space: str, api: str, where: Where | Any | None = ALL) -> Tile:
    """Room for a result. Where nothing is computed, nothing is written."""
    check_shape(shape, dtype, space, api)
    machine = current(api)
    complete = where is ALL
    values = np.empty(shape, dtype._np) if complete else uninitialised(shape, dtype)
    memory = Memory1(machine, api.rpartition(".")[2], space, values, written=complete)
    tile = Tile(memory, values, memory.written, Region.of(shape), dtype)
    tile._valid = where
    return tile


def check_shape(shape: tuple[int, ...], dtype: DType, space: str, api: str) -> None:
    machine = current(api)
    if not shape or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        fail("wrong_argument", f"{api}: shape={shape!r} must be positive integers")
    if space not in ON_CHIP:
        if math.prod(shape) * dtype.itemsize > 1 << 30:
            fail("out_of_capacity", f"{api}: shape={list(shape)} takes more than the 1 GiB of HBM that is simulated")
        return
    if shape[0] > PARTITIONS:
        fail(
            "partition_limit",
            f"{api}: shape={list(shape)} has {shape[0]} partitions; {space} has {PARTITIONS} (dimension 0, or that of "
            "nl.par_dim)",
        )
    size = math.prod(shape[1:]) * dtype.itemsize
    limit = machine.limits.sbuf if space == "sbuf" else machine.limits.psum
    if size > limit:
        fail(
            "out_of_capacity",
            f"{api}: shape={list(shape)} of {dtype.name} takes {size} bytes of each partition; {space} has {limit}",
        )
