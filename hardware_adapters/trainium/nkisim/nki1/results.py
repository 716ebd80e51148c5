"""What the instructions of NKI 1 share: operands that an engine can reach, masked results, choice of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import isa as core
from ..dtypes import DTYPES, FLOAT32, DType, as_dtype, is_float
from ..errors import fail
from ..machine import current
from ..tensor import ON_CHIP, Tensor
from .blocks import Blocks
from .indexing import Where, where_holds
from .tensor import ALL, Memory1, Tile, fresh
from .views import narrow

GHZ = {"pe": 2.8, "vector": 1.12, "scalar": 1.4, "gpsimd": 1.4}  # only their ratios matter here


def tile(value: Any, api: str, argument: str, spaces: Sequence[str] = ON_CHIP) -> Tile:
    """An operand. One in PSUM that the engine reads from SBUF only is copied there first, as the compiler does."""
    if isinstance(value, Blocks):
        fail("bad_index", f"{api}: {argument}={value!r}: index its block dimensions, one block at a time")
    if not isinstance(value, Tile):
        fail("wrong_argument", f"{api}: {argument} must be a tile, not {type(value).__name__}")
    if value.buffer not in spaces:
        if value.buffer == "psum" and "sbuf" in spaces:
            return to_sbuf(value)
        hint = "; nl.load brings it on chip" if value.buffer.endswith("hbm") else ""
        fail("wrong_memory", f"{api}: {argument}={value!r} is in {value.buffer}; allowed: {', '.join(spaces)}{hint}")
    return value


def to_sbuf(value: Tile, dtype: DType | None = None) -> Tile:
    api = "nki.isa.tensor_copy"
    copied = fresh(value.shape, dtype or value.dtype, "sbuf", api, value._valid)
    where = value._valid
    if where is None:
        return copied
    target, source = copied, value
    if isinstance(where, Where):
        target, source = narrow(copied, where.box), narrow(value, where.box)
    core.tensor_copy(target, source, engine=least_loaded(("vector", "scalar"), target))
    return came_from_last(copied)


def least_loaded(allowed: Sequence[str], target: Tensor) -> str:
    """The engine with the least work so far: what "selected by engine workload" is taken to mean."""
    work = current("engine").work
    return min(allowed, key=lambda engine: work.get(engine, 0.0) / GHZ[engine])


def came_from_last(result: Tile) -> Tile:
    """The last instruction of the log computed it."""
    memory = result._memory
    assert isinstance(memory, Memory1)
    memory.origin = len(current("result").log) - 1
    return result


def result_of(
    api: str,
    shape: tuple[int, ...],
    dtype: DType,
    mask: Any,
    operands: Sequence[Any],
    run: Callable[..., None],
    space: str = "sbuf",
) -> Tile:
    """A new tile of this shape, which `run(dst, *operands)` fills where the mask holds. Operands narrow with it."""
    for value in operands:
        if isinstance(value, Tile) and value._mask is not None and value.shape == shape:
            mask = value._mask if mask is None else mask & value._mask
    where = where_holds(mask, shape, api)
    if where is None:
        return fresh(shape, dtype, space, api, None)
    full = where.dense is None and all(part.stop - part.start == n for part, n in zip(where.box, shape, strict=True))
    result = fresh(shape, dtype, space, api, ALL if full else where)
    if full:
        run(result, *operands)
        return came_from_last(result)
    run(narrow(result, where.box), *(part_of(value, where, shape) for value in operands))
    if where.dense is not None and result._memory.written is not None:
        result._memory.written[where.box] = where.dense
    return came_from_last(result)


def part_of(value: Any, where: Where, shape: tuple[int, ...]) -> Any:
    """The part of an operand that belongs to a box of the result."""
    if not isinstance(value, Tile):
        return value
    if value.ndim == len(shape):
        return narrow(value, where.box)
    spare = tuple(slice(0, n) for n in value.shape[1:])
    return narrow(value, (where.box[0], *spare))


def chosen_type(dtype: Any, api: str, *operands: Any) -> DType:
    """`dtype`, or the promoted type of the operands."""
    if dtype is not None:
        return as_dtype(dtype, api)
    kinds = [value.dtype for value in operands if isinstance(value, (Tile, Blocks))]
    kind = kinds[0]
    for other in kinds[1:]:
        kind = promoted(kind, other)
    for value in operands:
        if isinstance(value, float) and not is_float(kind):
            kind = FLOAT32
    return kind


def promoted(a: DType, b: DType) -> DType:
    """The type of an operation on both: floats over integers, the wider of two, float32 where neither holds both."""
    if a is b:
        return a
    if is_float(a) != is_float(b):
        return a if is_float(a) else b
    if not is_float(a):
        wide = np.promote_types(a._np, b._np)
        return DTYPES.get(wide.name, FLOAT32)
    if a.itemsize != b.itemsize:
        return a if a.itemsize > b.itemsize else b
    return DTYPES["bfloat16"] if a.itemsize == 1 else FLOAT32


def squeezed(shape: tuple[int, ...], axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """The shape after a reduction; a tile keeps two dimensions."""
    if keepdims:
        return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    left = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    return left if len(left) > 1 else (*left, 1)
