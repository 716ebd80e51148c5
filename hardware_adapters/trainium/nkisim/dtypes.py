"""Element types of NKI, by their names in nki.language."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from .errors import fail


class DType:
    """An element type. Called with a number it gives that number rounded to the type."""

    __slots__ = ("_np", "itemsize", "name")

    def __init__(self, name: str, numpy: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_np", np.dtype(numpy))
        object.__setattr__(self, "itemsize", self._np.itemsize)

    def __setattr__(self, name: str, value: object) -> None:
        fail("forbidden", f"the type {self.name} cannot be changed")

    def __call__(self, value: object = 0) -> float | int:
        if not isinstance(value, (int, float)):
            fail("wrong_argument", f"{self.name}(value): a number is needed, not {type(value).__name__}")
        rounded = np.asarray(value).astype(self._np)
        return float(rounded) if is_float(self) else int(rounded)

    def __repr__(self) -> str:
        return self.name


_TYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3": ml_dtypes.float8_e4m3,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "int32": np.int32,
    "uint32": np.uint32,
    "int16": np.int16,
    "uint16": np.uint16,
    "int8": np.int8,
    "uint8": np.uint8,
    "bool_": np.bool_,
}
DTYPES = {name: DType(name, numpy) for name, numpy in _TYPES.items()}
ALIASES = {"float8e4": "float8_e4m3", "float8e5": "float8_e5m2", "tfloat32": "float32"}
PACKED = ("float8_e5m2_x4", "float8_e4m3fn_x4", "float4_e2m1fn_x4")
FLOAT32 = DTYPES["float32"]
_OF_NUMPY = {dtype._np: dtype for dtype in DTYPES.values()}
_FLOATS = {"float32", "float16", "bfloat16", "float8_e4m3", "float8_e5m2"}
POISON = {1: 0xA5, 2: 0xA5A5, 4: 0xA5A5A5A5}


def of_numpy(dtype: np.dtype) -> DType:
    return _OF_NUMPY[np.dtype(dtype)]


def as_dtype(value: object, api: str, argument: str = "dtype") -> DType:
    if isinstance(value, DType):
        return value
    if isinstance(value, str) and (name := ALIASES.get(value, value)) in DTYPES:
        return DTYPES[name]
    if value in PACKED:
        fail("unsupported", f"unsupported API: nki.language.{value}")
    fail("wrong_argument", f"{api}: {argument}={value!r} is no element type; nl has {', '.join(DTYPES)}")


def is_float(dtype: DType) -> bool:
    return dtype.name in _FLOATS


def uninitialised(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """Memory that nobody wrote: not a number, or 0xA5 bytes."""
    if is_float(dtype):
        return np.full(shape, np.nan, dtype._np)
    raw = np.full(shape, POISON[dtype.itemsize], f"u{dtype.itemsize}")
    return raw.view(dtype._np) if dtype.name != "bool_" else raw.astype(np.bool_)


def cast(values: np.ndarray, dtype: DType) -> np.ndarray:
    """Values as this type: floats round to nearest even; integers too, and saturate."""
    if is_float(dtype) or dtype.name == "bool_" or values.dtype.kind in "iub":
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(dtype._np, copy=False)
    limits = np.iinfo(dtype._np)
    with np.errstate(invalid="ignore"):
        rounded = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
        return np.nan_to_num(rounded).astype(dtype._np)
