"""Views of a tensor by a hardware access pattern (`.ap`), also where the values of tiles say where they lie.

Source: "NKI Access Patterns" of the Neuron documentation: [step, number] for each dimension over the tensor's elements
in order, `scalar_offset` and `vector_offset` count in the dimension `indirect_dim` of the tensor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .dtypes import DType, as_dtype, is_float
from .errors import fail
from .machine import Box
from .region import Region
from .tensor import HBM, ON_CHIP, Tensor

API = "Tensor.ap"


def access_pattern(
    tensor: Tensor, pattern: Any, offset: Any, scalar_offset: Any, vector_offset: Any, indirect_dim: Any, dtype: Any
) -> Tensor:
    """Raises KernelFault for patterns that leave the tensor, or that no engine can walk."""
    memory = tensor._memory
    whole = tensor._values
    if tensor.size != memory.values.size or tensor._index or not whole.flags.c_contiguous:
        fail("wrong_argument", f"{API}: {tensor!r} is a part of a tensor; an access pattern starts from a whole one")
    kind = tensor.dtype if dtype is None else as_dtype(dtype, API)
    steps = _steps(pattern)
    base = _number(offset, "offset")
    factor = tensor.dtype.itemsize / kind.itemsize
    inner = int(math.prod(tensor.shape[1:]) * factor)  # elements of a partition, or of a row
    if tensor.buffer in ON_CHIP:
        _on_chip(tensor, steps, base, inner)
    if scalar_offset is not None and vector_offset is not None:
        fail("wrong_argument", f"{API}: only one of scalar_offset and vector_offset")
    if indirect_dim not in range(tensor.ndim):
        fail("wrong_argument", f"{API}: indirect_dim={indirect_dim!r}; {tensor!r} has {tensor.ndim} dimensions")
    stride = int(math.prod(tensor.shape[indirect_dim + 1 :]) * factor)
    if vector_offset is not None:
        return _gathered(tensor, steps, base, vector_offset, indirect_dim, stride, kind)
    index: tuple[Tensor, ...] = ()
    if scalar_offset is not None:
        value, index = _scalar(scalar_offset)
        base += value * stride
    return _strided(tensor, steps, base, kind, index)


def _strided(tensor: Tensor, steps: list[tuple[int, int]], base: int, kind: DType, index: tuple[Tensor, ...]) -> Tensor:
    flat = tensor._values.reshape(-1).view(kind._np)
    low = base + sum(min(0, step * (count - 1)) for step, count in steps)
    high = base + sum(max(0, step * (count - 1)) for step, count in steps)
    if low < 0 or high >= flat.size:
        fail("out_of_bounds", f"{API}: elements {low}..{high} of {tensor!r}, which has {flat.size}")
    shape = tuple(count for _, count in steps)

    def view(values: np.ndarray) -> np.ndarray:
        strides = tuple(step * values.itemsize for step, _ in steps)
        seen = np.lib.stride_tricks.as_strided(values[base:], shape, strides, writeable=values.flags.writeable)
        if any(step == 0 and count > 1 for step, count in steps):
            seen.flags.writeable = False  # an element that repeats can be read only
        return seen

    written = tensor._written
    if written is not None and kind.itemsize == tensor.dtype.itemsize:
        written = view(written.reshape(-1))
    elif written is not None:
        fail("unsupported", f"unsupported API: {API}(dtype=...) of a tensor that was not wholly written")
    box = _box(tensor, low * kind.itemsize // tensor.dtype.itemsize, high * kind.itemsize // tensor.dtype.itemsize)
    inside = math.prod(high - low + 1 for low, high in ((a, b - 1) for a, b in box))
    exact = inside == math.prod(shape) and kind is tensor.dtype and len({*_positions(steps)}) == inside
    return Tensor(tensor._memory, view(flat), written, Region(box, None, exact), kind, index)


def _positions(steps: list[tuple[int, int]]) -> list[int]:
    """Where the elements lie, from the first on; only asked where their number is that of the box."""
    at = np.zeros(1, np.int64)
    for step, count in steps:
        at = (at[:, None] + np.arange(count) * step).reshape(-1)
    return at.tolist()


def _gathered(
    tensor: Tensor, steps: list[tuple[int, int]], base: int, vector: Any, dim: int, stride: int, kind: DType
) -> Tensor:
    """One index for each step of the first dimension, in place of the step."""
    if not isinstance(vector, Tensor) or vector.buffer not in ON_CHIP or is_float(vector.dtype):
        fail("wrong_argument", f"{API}: vector_offset={vector!r} must be a tile of integers in SBUF")
    if dim != 0 or tensor.buffer not in HBM or kind is not tensor.dtype:
        fail("unsupported", f"unsupported API: {API}(vector_offset=..., indirect_dim={dim}) of {tensor!r}")
    count = steps[0][1]
    chosen = vector._read(API, "vector_offset").astype(np.int64).reshape(-1)
    if chosen.size != count:
        fail("shape_mismatch", f"{API}: vector_offset has {chosen.size} indices, the pattern's first dimension {count}")
    at = np.zeros(1, np.int64)
    for step, number in steps[1:]:
        at = (at[:, None] + np.arange(number) * step).reshape(-1)
    positions = (base + chosen[:, None] * stride + at).reshape([number for _, number in steps])
    rows = positions.reshape(count, -1)
    size = tensor.size
    outside = (chosen < 0) | (chosen >= tensor.shape[0]) | (rows < 0).any(1) | (rows >= size).any(1)
    positions = np.where(outside.reshape(-1, *(1,) * (len(steps) - 1)), -1, positions)
    flat = tensor._values.reshape(-1)
    values = flat[np.maximum(positions, 0)]
    written = tensor._written.reshape(-1)[np.maximum(positions, 0)] if tensor._written is not None else None
    inside = positions[positions >= 0]
    box = _box(tensor, int(inside.min()), int(inside.max())) if inside.size else _box(tensor, 0, size - 1)
    return Tensor(tensor._memory, values, written, Region(box, None, False), kind, (vector,), positions)


def _steps(pattern: Any) -> list[tuple[int, int]]:
    try:
        steps = [(step, count) for step, count in pattern]
    except (TypeError, ValueError):
        fail("wrong_argument", f"{API}: pattern={pattern!r} must be a list of [step, number]")
    for step, count in steps:
        if any(isinstance(n, bool) or not isinstance(n, int) for n in (step, count)) or count < 1:
            fail("wrong_argument", f"{API}: pattern={pattern!r}: steps and numbers are integers, numbers positive")
    if not steps:
        fail("wrong_argument", f"{API}: pattern is empty")
    return steps


def _number(value: Any, argument: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        fail("wrong_argument", f"{API}: {argument}={value!r} must be an integer")
    return value


def _scalar(value: Any) -> tuple[int, tuple[Tensor, ...]]:
    from .registers import Register

    if isinstance(value, Register):
        return value._held(API), ()
    if isinstance(value, int) and not isinstance(value, bool):
        return value, ()
    if not isinstance(value, Tensor) or value.size != 1 or is_float(value.dtype):
        fail("wrong_argument", f"{API}: scalar_offset={value!r} must be a tile of one integer, or a register")
    return int(value._read(API, "scalar_offset").reshape(-1)[0]), (value,)


def _on_chip(tensor: Tensor, steps: list[tuple[int, int]], base: int, inner: int) -> None:
    (step, count), free = steps[0], steps[1:]
    if count > 1 and step != inner:
        fail(
            "wrong_argument",
            f"{API}: pattern={steps!r}: the first step of one of {tensor!r} goes from partition to partition: {inner}",
        )
    low = base % inner + sum(min(0, s * (n - 1)) for s, n in free)
    high = base % inner + sum(max(0, s * (n - 1)) for s, n in free)
    if low < 0 or high >= inner:
        fail("out_of_bounds", f"{API}: elements {low}..{high} of each partition of {tensor!r}, which has {inner}")


def _box(tensor: Tensor, low: int, high: int) -> Box:
    """Around the elements from `low` to `high`, in the dimensions of the memory."""
    box: list[tuple[int, int]] = []
    shape = tensor._memory.values.shape
    for axis in range(len(shape)):
        inner = math.prod(shape[axis + 1 :])
        first, last = low // inner, high // inner
        box.append((first, last + 1))
        low, high = low - first * inner, high - first * inner
        if first != last:
            return (*box, *((0, extent) for extent in shape[axis + 1 :]))
    return tuple(box)
