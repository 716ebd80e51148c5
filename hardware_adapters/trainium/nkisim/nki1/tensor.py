"""Tiles of NKI 1: views by index tiles and slices, results that move into what they are assigned to, PSUM sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..dtypes import DType, uninitialised
from ..errors import fail
from ..machine import PARTITIONS, Access, Box, Machine, current
from ..tensor import ON_CHIP, Memory, Tensor
from .indexing import Index, Mask, Where, aligned, broadcast, where_holds

ALL = Ellipsis  # of a result: every element was computed
Expression = tuple[int, tuple[int, ...]]  # start, and the step of each axis of the view


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
        self, memory: Memory, values: np.ndarray, written: np.ndarray | None, box: Box, dims: tuple[int, ...] | None,
        dtype: DType,
    ) -> None:  # fmt: skip
        super().__init__(memory, values, written, box, dims, dtype)
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

    def __getitem__(self, key: Any) -> Tile:
        if isinstance(key, (Mask, bool)):
            chosen = view_of(self, ())
            chosen._mask = key if self._mask is None else self._mask & key
            chosen._pending = self._pending
            return chosen
        return indexed(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        from .assign import assign

        assign(self[key], value)

    def reshape(self, *shape: Any) -> Tile:
        wanted = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return adopt(super().reshape(tuple(int(n) for n in wanted)))

    def broadcast_to(self, shape: Sequence[int]) -> Tile:
        from .isa import broadcast_tile

        return broadcast_tile(self, tuple(shape), "nki.language.broadcast_to")

    def astype(self, dtype: Any) -> Tile:
        from .language import copy

        return copy(self, dtype=dtype)

    def expand_dims(self, axis: int) -> Tile:
        at = axis + self.ndim + 1 if axis < 0 else axis
        return self.reshape((*self.shape[:at], 1, *self.shape[at:]))

    # ------------------------------------------------------------ operators

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


class Pending:
    """A view whose elements are not all inside its tensor."""

    __slots__ = ("expressions", "parent", "shape")

    def __init__(self, parent: Tile, expressions: list[Expression], shape: tuple[int, ...]) -> None:
        self.parent, self.expressions, self.shape = parent, expressions, shape

    def complaint(self) -> str:
        for axis, ((low, high), extent) in enumerate(
            zip((_reach(e, self.shape) for e in self.expressions), self.parent.shape, strict=True)
        ):
            if low < 0 or high >= extent:
                return f"{self.parent!r}: index {low}..{high} of dimension {axis} is not within 0..{extent - 1}"
        return f"{self.parent!r}: is left"


def _reach(expression: Expression, shape: tuple[int, ...]) -> tuple[int, int]:
    start, steps = expression
    spans = [step * (n - 1) for step, n in zip(steps, shape, strict=True)]
    return start + sum(min(0, s) for s in spans), start + sum(max(0, s) for s in spans)


def view_of(tile: Tensor, narrowed: Any) -> Tile:
    return Tile(tile._memory, tile._values, tile._written, tile._box, tile._dims, tile._dtype)


def adopt(tensor: Tensor) -> Tile:
    """The same tensor as NKI 1 sees it."""
    return tensor if isinstance(tensor, Tile) else view_of(tensor, ())


def indexed(tile: Tile, key: Any) -> Tile:
    """A view by numbers and slices, or by numbers and index tiles."""
    keys = _keys(tile, key)
    advanced = [part for part in keys if isinstance(part, Index)]
    if advanced:
        if any(isinstance(part, slice) for part in keys):
            fail("bad_index", f"{tile!r}: slices and index tiles (nl.arange) cannot be mixed in one index")
        shape = broadcast(*(index._extents for index in advanced))
        expressions: list[Expression] = [
            (part._start, aligned(part, len(shape))) if isinstance(part, Index) else (part, (0,) * len(shape))
            for part in keys
        ]
    else:
        shape, expressions = _basic(tile, keys)
    if tile.buffer in ON_CHIP:
        shape, expressions = _partitioned(tile, shape, expressions)
    return _resolved(tile, shape, expressions)


def _keys(tile: Tile, key: Any) -> list[Any]:
    keys = list(key) if isinstance(key, tuple) else [key]
    given = sum(part is not None for part in keys)
    if any(part is Ellipsis for part in keys):
        at = next(i for i, part in enumerate(keys) if part is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (tile.ndim - given + 1)
    elif given < tile.ndim:
        keys += [slice(None)] * (tile.ndim - given)
    if sum(part is not None for part in keys) != tile.ndim:
        fail("bad_index", f"{tile!r}: {given} indices for {tile.ndim} dimensions")
    whole = []
    axis = 0
    for part in keys:
        if isinstance(part, bool) or not (part is None or isinstance(part, (int, slice, Index))):
            fail("bad_index", f"{tile!r}: an index is a number, a slice or an index tile, not {type(part).__name__}")
        if isinstance(part, int) and part < 0:
            part += tile.shape[axis]
        axis += part is not None
        whole.append(part)
    if any(part is None for part in whole) and any(isinstance(part, Index) for part in whole):
        fail("bad_index", f"{tile!r}: None and index tiles (nl.arange) cannot be mixed in one index")
    return whole


def _basic(tile: Tile, keys: list[Any]) -> tuple[tuple[int, ...], list[Expression]]:
    lengths: list[int] = []
    parts: list[tuple[int, int, int | None]] = []  # start, step, axis
    dims = iter(tile.shape)
    for part in keys:
        if part is None:
            lengths.append(1)
            continue
        extent = next(dims)
        if isinstance(part, int):
            parts.append((part, 0, None))
            continue
        start, stop, step = part.start or 0, extent if part.stop is None else part.stop, part.step or 1
        if any(isinstance(n, bool) or not isinstance(n, int) for n in (start, stop, step)):
            fail("bad_index", f"{tile!r}: the bounds of a slice are integers, got {start!r}:{stop!r}:{step!r}")
        start, stop = (n + extent if n < 0 else n for n in (start, stop))
        if step < 1 or stop <= start:
            fail("out_of_bounds", f"{tile!r}: slice {start}:{stop}:{step} of dimension {len(parts)} is empty")
        parts.append((start, step, len(lengths)))
        lengths.append(-(-(stop - start) // step))
    shape = tuple(lengths)
    return shape, [(start, tuple(step if axis == at else 0 for at in range(len(shape)))) for start, step, axis in parts]


def _partitioned(
    tile: Tile, shape: tuple[int, ...], expressions: list[Expression]
) -> tuple[tuple[int, ...], list[Expression]]:
    """Partitions stay first, and there is a free dimension."""
    used = [axis for axis, step in enumerate(expressions[0][1]) if step]
    if not used and (not shape or shape[0] != 1):
        shape = (1, *shape)
        expressions = [(start, (0, *steps)) for start, steps in expressions]
    elif used and used != [0]:
        fail("bad_index", f"{tile!r}: axis {used[-1]} of the index runs over partitions; these are axis 0: [:, None]")
    if len(shape) == 1:
        shape = (*shape, 1)
        expressions = [(start, (*steps, 0)) for start, steps in expressions]
    return shape, expressions


def _resolved(tile: Tile, shape: tuple[int, ...], expressions: list[Expression]) -> Tile:
    reaches = [_reach(e, shape) for e in expressions]
    if tile._pending is not None or any(
        low < 0 or high >= extent for (low, high), extent in zip(reaches, tile.shape, strict=True)
    ):
        tile._inside("index", "tile")
        dummy = np.broadcast_to(np.empty((), tile._values.dtype), shape)
        waiting = Tile(tile._memory, dummy, None, tile._box, None, tile._dtype)
        waiting._pending = Pending(tile, expressions, shape)
        return waiting
    box, dims = list(tile._box), None
    if tile._dims is not None:
        owner: dict[int, int] = {}
        simple = True
        for at, ((low, high), real) in enumerate(zip(reaches, tile._dims, strict=True)):
            base = tile._box[real][0]
            box[real] = (base + low, base + high + 1)
            axes = [axis for axis, step in enumerate(expressions[at][1]) if step]
            simple = simple and len(axes) <= 1 and all(expressions[at][1][axis] == 1 for axis in axes)
            for axis in axes:
                simple = simple and axis not in owner
                owner[axis] = real
        spare = [real for real in range(len(box)) if real not in owner.values()]
        missing = [axis for axis in range(len(shape)) if axis not in owner]
        if simple and len(missing) <= len(spare) and all(shape[axis] == 1 for axis in missing):
            for axis in missing:
                owner[axis] = spare.pop(0)
            if all(shape[axis] == 1 or box[real][1] - box[real][0] == shape[axis] for axis, real in owner.items()):
                dims = tuple(owner[axis] for axis in range(len(shape)))
        if dims is not None and any(box[real][1] - box[real][0] != shape[axis] for axis, real in enumerate(dims)):
            dims = None
    values = _strided(tile._values, shape, expressions)
    written = _strided(tile._written, shape, expressions) if tile._written is not None else None
    return Tile(tile._memory, values, written, tuple(box), dims, tile._dtype)


def _strided(array: np.ndarray, shape: tuple[int, ...], expressions: list[Expression]) -> np.ndarray:
    first = tuple(slice(start, start + 1) for start, _ in expressions)
    strides = tuple(
        sum(steps[axis] * stride for (_, steps), stride in zip(expressions, array.strides, strict=True))
        for axis in range(len(shape))
    )
    return np.lib.stride_tricks.as_strided(array[first], shape, strides, writeable=array.flags.writeable)


def narrow(tile: Tile, region: tuple[slice, ...]) -> Tile:
    """A part of a view; dimensions of one stay whole, as they are repeated."""
    parts = tuple(slice(0, 1) if n == 1 else part for n, part in zip(tile.shape, region, strict=True))
    if tile._pending is None:
        if all(part.start == 0 and part.stop == n for part, n in zip(parts, tile.shape, strict=True)):
            return tile
        return indexed(tile, parts)
    waiting = tile._pending
    shape = tuple(part.stop - part.start for part in parts)
    expressions = [
        (start + sum(step * part.start for step, part in zip(steps, parts, strict=True)), steps)
        for start, steps in waiting.expressions
    ]
    return _resolved(waiting.parent, shape, expressions)


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
    box = tuple((0, n) for n in shape)
    tile = Tile(memory, values, memory.written, box, tuple(range(len(box))), dtype)
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


__all__ = ["ALL", "Blocks", "Memory1", "Tile", "adopt", "fresh", "indexed", "narrow", "where_holds"]
