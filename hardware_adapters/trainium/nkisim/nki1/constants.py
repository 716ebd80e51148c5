"""Constants that lie in HBM when a kernel starts."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..checks import api
from ..dtypes import DType, as_dtype
from ..errors import fail
from ..machine import current
from ..region import Region
from .tensor import Memory1, Tile

MAX_SIDE = 2048


class Constant:
    """A NumPy array that a kernel can hand to nl.shared_constant, and do nothing else with."""

    __slots__ = ("_values",)

    def __init__(self, values: np.ndarray) -> None:
        object.__setattr__(self, "_values", values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        fail("forbidden", "a constant cannot be changed")

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape


def identity(n: Any, dtype: Any = None) -> Constant:
    """np.identity. Its type is that which nl.shared_constant gives it."""
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_SIDE:
        fail("wrong_argument", f"numpy.identity: n={n!r} must be an integer from 1 to {MAX_SIDE}")
    return Constant(np.identity(n, np.float32))


@api
def shared_constant(constant: Any, dtype: Any = None) -> Tile:
    name = "nki.language.shared_constant"
    if not isinstance(constant, Constant):
        fail("wrong_argument", f"{name}: constant must be np.identity(n), not {type(constant).__name__}")
    return _in_hbm(name, constant._values, as_dtype("float32" if dtype is None else dtype, name))


@api
def shared_identity_matrix(n: Any, dtype: Any = "uint8") -> Tile:
    name = "nki.language.shared_identity_matrix"
    return _in_hbm(name, identity(n)._values, as_dtype(dtype, name))


def _in_hbm(name: str, values: np.ndarray, kind: DType) -> Tile:
    held = values.astype(kind._np)
    held.flags.writeable = False
    memory = Memory1(current(name), "constant", "hbm", held, written=True)
    return Tile(memory, held, None, Region.of(held.shape), kind)
