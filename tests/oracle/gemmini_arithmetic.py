"""The number formats of Gemmini: scaling, rounding, the integer GELU and exponential."""

from __future__ import annotations

import numpy as np
from gemmini_isa import Array, require


def wrap32(values: np.ndarray | int) -> np.ndarray:
    """int64 to int32 as hardware does it; products of two int32 fit before."""
    return np.asarray(values, np.int64).astype(np.int32).astype(np.int64)


def saturate8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), -128, 127).astype(np.int8)  # np.rint rounds halves to even


def scaled(values: np.ndarray, scale: float, array: Array) -> np.ndarray:
    """To elements: float32(value) x float32 scale, rounded half to even, saturated; floats are only multiplied."""
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.asarray(values).astype(np.float32) * np.float32(scale)
    return product if array.floating else saturate8(product)


def rounding_shift(values: np.ndarray, shift: int) -> np.ndarray:
    """Right shift of int32, half to even."""
    return np.rint(values.astype(np.float64) / float(1 << shift)).astype(np.int64)  # exact in float64


def rectified(values: np.ndarray) -> np.ndarray:
    """ReLU. Never -0."""
    return np.where(values > 0, values, values.dtype.type(0))


def added(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """In the accumulator: wraps for integers."""
    if left.dtype == np.float32:
        return left + right
    return wrap32(left.astype(np.int64) + right).astype(np.int32)


def multiplied(left: np.ndarray, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """start + left @ right. Floats in ascending k, roundings separate as in the functional model; the RTL fuses."""
    if start.dtype != np.float32:
        return wrap32(start.astype(np.int64) + left.astype(np.int64) @ right.astype(np.int64)).astype(np.int32)
    total = start.copy()
    for k in range(left.shape[1]):
        total += np.outer(left[:, k], right[k]).astype(np.float32)
    return total


def igelu(values: np.ndarray, qb: int, qc: int) -> np.ndarray:
    q = values.astype(np.int64)
    magnitude = np.minimum(wrap32(np.abs(q)), wrap32(-qb))
    shifted = wrap32(magnitude + qb)
    polynomial = wrap32(wrap32(shifted * shifted) + qc)
    erf = np.where(q < 0, wrap32(-polynomial), polynomial)
    return wrap32(q * wrap32(erf + qc))


def iexp(values: np.ndarray, qb: int, qc: int, qln2: int, qln2_inv: int) -> np.ndarray:
    """Of values <= 0. Shifts by more than 31 give 0: undefined in the functional model's C."""
    q = values.astype(np.int64)
    require(bool((q <= 0).all()), "exponential of a value above the maximum")
    z = wrap32(wrap32(-q) * qln2_inv) >> 16
    require(bool((z >= 0).all()), "exponential: value * qln2_inv does not fit 32 bits")
    base = wrap32(wrap32(q + wrap32(z * qln2)) + qb)
    polynomial = wrap32(wrap32(base * base) + qc)
    return np.where(z > 31, 0, polynomial >> np.minimum(z, 31))


def truncated(values: np.ndarray) -> np.ndarray:
    """float to int32 as C converts."""
    return np.trunc(values).astype(np.int64)
