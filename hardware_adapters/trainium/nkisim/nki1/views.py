"""Views of tiles: by slices and numbers, or by index tiles; parts of them where a mask holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import fail
from ..region import Region
from ..tensor import ON_CHIP
from .indexing import Index, aligned, broadcast
from .tensor import Tile

Expression = tuple[int, tuple[int, ...]]  # start, and the step of each axis of the view


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
        waiting = Tile(tile._memory, dummy, None, tile._region.rearranged(), tile._dtype)
        waiting._pending = Pending(tile, expressions, shape)
        return waiting
    box, dims = list(tile._region.box), None
    if tile._region.dims is not None:
        owner: dict[int, int] = {}
        simple = True
        for at, ((low, high), real) in enumerate(zip(reaches, tile._region.dims, strict=True)):
            base = tile._region.box[real][0]
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
    return Tile(tile._memory, values, written, Region(tuple(box), dims), tile._dtype)


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
