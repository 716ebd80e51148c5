"""Index tiles (nl.arange, nl.mgrid), the affine expressions made of them, and the predicates that compare these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..errors import fail

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip


class Index:
    """`start` + for each axis `step` x 0..extent-1: what nl.arange gives, and sums and multiples of it."""

    __slots__ = ("_extents", "_start", "_steps")

    def __init__(self, start: int, steps: tuple[int, ...], extents: tuple[int, ...]) -> None:
        object.__setattr__(self, "_start", start)
        object.__setattr__(self, "_steps", steps)
        object.__setattr__(self, "_extents", extents)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", "an index tile cannot be changed")

    @property
    def shape(self) -> tuple[int, ...]:
        return self._extents

    def __repr__(self) -> str:
        return f"index tile of shape {list(self._extents)}"

    def __bool__(self) -> NoReturn:
        fail("no_value", f"a condition cannot depend on an {self!r}: use the mask of an instruction")

    __int__ = __float__ = __index__ = __iter__ = __len__ = __bool__  # type: ignore[assignment]

    def __getitem__(self, key: Any) -> Index:
        """Only new axes of one: nl.arange(128)[:, None]."""
        keys = list(key) if isinstance(key, tuple) else [key]
        steps, extents, axis = [], [], 0
        for part in keys:
            if part is None:
                steps.append(0)
                extents.append(1)
            elif isinstance(part, slice) and part == slice(None) and axis < len(self._steps):
                steps.append(self._steps[axis])
                extents.append(self._extents[axis])
                axis += 1
            else:
                fail("bad_index", f"nki.language.arange: [{part!r}] of an {self!r}; only : and None are taken")
        if axis != len(self._steps):
            fail("bad_index", f"nki.language.arange: {len(keys)} indices leave axes of an {self!r} out")
        return Index(self._start, tuple(steps), tuple(extents))

    def _combined(self, other: Any, sign: int) -> Any:
        if isinstance(other, bool) or not isinstance(other, (int, Index)):
            return NotImplemented
        if isinstance(other, int):
            return Index(self._start + sign * other, self._steps, self._extents)
        extents = broadcast(self._extents, other._extents)
        left, right = (aligned(index, len(extents)) for index in (self, other))
        steps = tuple(a + sign * b for a, b in zip(left, right, strict=True))
        return Index(self._start + sign * other._start, steps, extents)

    def __add__(self, other: Any) -> Any:
        return self._combined(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._combined(other, -1)

    def __neg__(self) -> Index:
        return self * -1

    def __rsub__(self, other: Any) -> Any:
        return (-self)._combined(other, 1)

    def __mul__(self, other: Any) -> Index:
        if isinstance(other, bool) or not isinstance(other, int):
            fail("unsupported", f"unsupported API: an {self!r} times {type(other).__name__}: index tiles are affine")
        return Index(self._start * other, tuple(step * other for step in self._steps), self._extents)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Index:
        return self._affine_again(other, "//", np.floor_divide)

    def __mod__(self, other: Any) -> Index:
        return self._affine_again(other, "%", np.mod)

    def _affine_again(self, other: Any, symbol: str, compute: Callable[..., np.ndarray]) -> Index:
        """// and % where the result is affine for the values at hand: blocks of a size that divides."""
        if isinstance(other, int) and not isinstance(other, bool) and other > 0:
            values = compute(np.broadcast_to(self._values(), self._extents), other)
            first = values[(0,) * values.ndim]
            steps = []
            for axis, extent in enumerate(self._extents):
                second = tuple(min(1, extent - 1) if a == axis else 0 for a in range(values.ndim))
                steps.append(int(values[second] - first))
            found = Index(int(first), tuple(steps), self._extents)
            if (np.broadcast_to(found._values(), self._extents) == values).all():
                return found
        fail("unsupported", f"unsupported API: {self!r} {symbol} {other!r}: the result is not affine")

    def _not_affine(self, other: Any) -> NoReturn:
        fail("unsupported", f"unsupported API: division by an {self!r}, or / of it: index tiles are affine")

    __rfloordiv__ = __rmod__ = __truediv__ = __rtruediv__ = _not_affine

    def _compared(self, other: Any, operator: str) -> Mask:
        difference = self._combined(other, -1)
        if difference is NotImplemented:
            fail("wrong_argument", f"an {self!r} is compared with numbers and index tiles, not {type(other).__name__}")
        return Mask((Condition(difference, operator),))

    def __lt__(self, other: Any) -> Mask:
        return self._compared(other, "<")

    def __le__(self, other: Any) -> Mask:
        return self._compared(other, "<=")

    def __gt__(self, other: Any) -> Mask:
        return self._compared(other, ">")

    def __ge__(self, other: Any) -> Mask:
        return self._compared(other, ">=")

    def __eq__(self, other: object) -> Any:
        return self._compared(other, "==")

    def __ne__(self, other: object) -> Any:
        return self._compared(other, "!=")

    __hash__ = object.__hash__

    # ------------------------------------------------------------ what instructions use

    def _bounds(self) -> tuple[int, int]:
        """Least and greatest value."""
        reach = [step * (extent - 1) for step, extent in zip(self._steps, self._extents, strict=True)]
        return self._start + sum(min(0, r) for r in reach), self._start + sum(max(0, r) for r in reach)

    def _values(self) -> np.ndarray:
        values = np.full((1,) * len(self._steps), self._start, np.int64)
        for axis, (step, extent) in enumerate(zip(self._steps, self._extents, strict=True)):
            if step:
                shape = [1] * len(self._steps)
                shape[axis] = extent
                values = values + (np.arange(extent) * step).reshape(shape)
        return values

    def _within(self, region: tuple[slice, ...]) -> Index:
        """Of the elements in a region (of as many axes) only."""
        start = self._start + sum(step * part.start for step, part in zip(self._steps, region, strict=True))
        extents = tuple(part.stop - part.start if n > 1 else 1 for n, part in zip(self._extents, region, strict=True))
        return Index(start, self._steps, extents)


class Condition(NamedTuple):
    """difference `operator` 0."""

    difference: Index
    operator: str

    def holds(self) -> np.ndarray:
        return COMPARISONS[self.operator](self.difference._values(), 0)


class Mask:
    """A conjunction of conditions on index tiles; what combines otherwise is kept as the values themselves."""

    __slots__ = ("_conditions", "_dense")

    def __init__(self, conditions: tuple[Condition, ...], dense: np.ndarray | None = None) -> None:
        object.__setattr__(self, "_conditions", conditions)
        object.__setattr__(self, "_dense", dense)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", "a mask cannot be changed")

    def __bool__(self) -> NoReturn:
        fail("no_value", "a mask has no single truth value: combine masks with & and pass them as mask=")

    def __repr__(self) -> str:
        return "mask"

    def __and__(self, other: Any) -> Any:
        if isinstance(other, bool):
            return self if other else False
        if not isinstance(other, Mask):
            return NotImplemented
        if self._dense is None and other._dense is None:
            return Mask((*self._conditions, *other._conditions))
        return Mask((), self._array() & other._array())

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        if isinstance(other, bool):
            return True if other else self
        return Mask((), self._array() | other._array()) if isinstance(other, Mask) else NotImplemented

    __ror__ = __or__

    def __invert__(self) -> Mask:
        return Mask((), ~self._array())

    def _array(self) -> np.ndarray:
        if self._dense is not None:
            return self._dense
        held = [condition.holds() for condition in self._conditions]
        result = held[0]
        for more in held[1:]:
            result = result & more
        return result


Region = tuple[slice, ...]


class Where(NamedTuple):
    """Where a mask holds in a tile: in `box`, and within it where `dense` says (None: everywhere). None: nowhere."""

    box: Region
    dense: np.ndarray | None


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        fail("shape_mismatch", f"index tiles or tiles of shapes {', '.join(str(list(s)) for s in shapes)} do not fit")


def aligned(index: Index, ndim: int) -> tuple[int, ...]:
    """Its steps, with as many axes in front as `ndim` needs."""
    return (0,) * (ndim - len(index._steps)) + index._steps


def where_holds(mask: Any, shape: tuple[int, ...], api: str) -> Where | None:
    """Where in a tile of this shape the mask lets an instruction work."""
    everything = tuple(slice(0, n) for n in shape)
    if mask is None or mask is True:
        return Where(everything, None)
    if mask is False:
        return None
    if not isinstance(mask, Mask):
        fail("wrong_argument", f"{api}: mask={mask!r} must compare index tiles (nl.arange) and numbers")
    held = mask._array()
    if held.ndim < len(shape):
        fail(
            "shape_mismatch",
            f"{api}: mask of shape {list(held.shape)} for a tile of shape {list(shape)}: index tiles of as many axes "
            "are needed, as nl.arange(128)[:, None]",
        )
    spare = held.ndim - len(shape)
    wide = held.reshape(held.shape[: len(shape)]) if spare and held.shape[len(shape) :] == (1,) * spare else held
    try:
        full = np.broadcast_to(wide, shape)
    except ValueError:
        fail("shape_mismatch", f"{api}: mask of shape {list(held.shape)} does not fit a tile of shape {list(shape)}")
    if held.all():
        return Where(everything, None)
    if not held.any():
        return None
    box = []
    padded = wide.reshape((1,) * (len(shape) - wide.ndim) + wide.shape)
    for axis, n in enumerate(shape):
        if padded.shape[axis] == 1:
            box.append(slice(0, n))
            continue
        others = tuple(other for other in range(len(shape)) if other != axis)
        true = np.flatnonzero(padded.any(axis=others))
        box.append(slice(int(true[0]), int(true[-1]) + 1))
    region = tuple(box)
    inside = full[region]
    return Where(region, None if inside.all() else inside)


def arange(*bounds: Any) -> Index:
    """nl.arange(n), (start, stop) or (start, stop, step)."""
    if not 1 <= len(bounds) <= 3 or any(isinstance(n, bool) or not isinstance(n, int) for n in bounds):
        fail("wrong_argument", f"nki.language.arange: takes one to three integers, got {bounds}")
    chosen = range(*bounds)
    if not chosen:
        fail("wrong_argument", f"nki.language.arange{bounds}: is empty")
    return Index(chosen.start, (chosen.step if len(chosen) > 1 else 0,), (len(chosen),))


class Grid(tuple):
    """The index tiles of nl.mgrid, one for each axis; .p is the partitions', .x .y .z the free axes'."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Index:
        if len(name) == 1 and name in "pxyzw"[: len(self)]:
            return self["pxyzw".index(name)]
        if name.startswith("__"):
            raise AttributeError(name)
        fail("unsupported", f"unsupported API: nki.language.mgrid.{name}")


class MeshGrid:
    """nl.mgrid[0:128, 0:512]."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Grid:
        parts = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(part, slice) and isinstance(part.stop, int) for part in parts):
            fail("wrong_argument", "nki.language.mgrid takes slices of integers: nl.mgrid[0:128, 0:512]")
        tiles = []
        for axis, part in enumerate(parts):
            line = arange(part.start or 0, part.stop, part.step or 1)
            tiles.append(line[tuple(slice(None) if other == axis else None for other in range(len(parts)))])
        return Grid(tiles)
