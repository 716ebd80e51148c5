"""Checks that several instructions share; every message names the API, the argument and the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dtypes import FLOAT32, is_float
from .errors import fail
from .machine import PSUM_BANK_BYTES
from .sealed import Sealed
from .tensor import ON_CHIP, Tensor

Array = np.ndarray


def api(function: Callable[..., Any]) -> Sealed:
    """A function of nki.isa or nki.language as kernels see it."""
    path = "nki.isa" if function.__module__.endswith("isa") else "nki.language"
    return Sealed(function, f"{path}.{function.__name__}")


def tile(value: Any, name: str, argument: str, spaces: Sequence[str] = ON_CHIP) -> Tensor:
    if not isinstance(value, Tensor):
        fail("wrong_argument", f"{name}: {argument} must be a tensor, not {type(value).__name__}")
    if value.buffer not in spaces:
        fail(
            "wrong_memory",
            f"{name}: {argument}={value!r} is in {value.buffer}; allowed: {', '.join(spaces)}"
            + ("; nisa.dma_copy moves data on chip" if value.buffer.endswith("hbm") else ""),
        )
    if value._places is not None and not name.startswith("nki.isa.dma"):
        fail("wrong_argument", f"{name}: {argument} is gathered by vector_offset, which only a DMA can do")
    return value


def same_shape(name: str, **tiles: Tensor) -> tuple[int, int]:
    """Partitions and elements per partition, which all of them must share."""
    sizes = {argument: value._flat() for argument, value in tiles.items()}
    if len(set(sizes.values())) > 1:
        given = ", ".join(f"{argument} {list(tiles[argument].shape)}" for argument in sizes)
        fail("shape_mismatch", f"{name}: partitions and elements per partition must agree: {given}")
    return next(iter(sizes.values()))


def not_both_in_psum(name: str, **tiles: Tensor) -> None:
    """The Vector engine reads one tile of PSUM at a time."""
    if all(value.buffer == "psum" for value in tiles.values()):
        fail("wrong_memory", f"{name}: {' and '.join(tiles)} cannot both be in PSUM: copy one of them to SBUF")


def reals(tensor: Tensor, name: str, argument: str) -> Array:
    """As float32, in which the engines compute, flat: partitions x elements."""
    values = tensor._read(name, argument)
    return values.astype(np.float32, copy=False).reshape(tensor._flat())


def bits(tensor: Tensor, name: str, argument: str) -> Array:
    if is_float(tensor.dtype):
        fail("wrong_dtype", f"{name}: {argument}={tensor!r}: bit operators take integer types")
    return tensor._read(name, argument).reshape(tensor._flat())


def store(dst: Tensor, values: Array, name: str) -> None:
    dst._write(name, values.reshape(dst.shape))


def operand(value: Any, partitions: int, name: str, argument: str) -> tuple[Array | np.float32, tuple[Tensor, ...]]:
    """A number, or a tile with one element per partition: to compute with, and the tiles read."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return np.float32(value), ()
    vector = tile(value, name, argument)
    if vector._flat() not in ((partitions, 1),):
        fail(
            "shape_mismatch",
            f"{name}: {argument}={vector!r} must be a number or a tile of shape ({partitions}, 1)",
        )
    return reals(vector, name, argument), (vector,)


def not_taken(name: str, **arguments: Any) -> None:
    """Arguments that exist in NKI but not here."""
    for argument, value in arguments.items():
        if value not in (None, False, (), []):
            fail("unsupported", f"unsupported API: {name}({argument}={value!r})")


def one_bank(name: str, dst: Tensor) -> None:
    """The result of the Tensor engine lies in one PSUM bank."""
    _, free = dst._flat()
    size = free * dst.dtype.itemsize
    base = dst._memory.values
    step = base.strides[0] or 1
    start = (dst._values.__array_interface__["data"][0] - base.__array_interface__["data"][0]) % step
    if size > PSUM_BANK_BYTES or start // PSUM_BANK_BYTES != (start + size - 1) // PSUM_BANK_BYTES:
        fail(
            "psum_bank",
            f"{name}: dst={dst!r} takes {size} bytes of a partition from byte {start} on; a result lies within one "
            f"PSUM bank of {PSUM_BANK_BYTES}",
        )


def run_bytes(values: Array, on_chip: bool) -> int:
    """Length of the contiguous pieces of a view; on chip at most a partition's."""
    size = values.itemsize
    for axis in range(values.ndim - 1, -1 if not on_chip else 0, -1):
        if values.shape[axis] == 1:
            continue
        if values.strides[axis] != size:
            break
        size *= values.shape[axis]
    return size


def both_floats(name: str, **tiles: Tensor) -> None:
    for argument, value in tiles.items():
        if not is_float(value.dtype):
            fail("wrong_dtype", f"{name}: {argument}={value!r}: the Tensor engine takes float types")
    kinds = {value.dtype for value in tiles.values()}
    if FLOAT32 in kinds and len(kinds) > 1:
        fail("wrong_dtype", f"{name}: float32 goes with float32 only, got {', '.join(k.name for k in kinds)}")
