"""The oracle's loop_ws against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from command_encoding import config_ex, config_ld, config_st, loop_ws
from gemmini_isa import ARRAYS, RELU, Array, Buffer
from gemmini_oracle import GemminiOracle


def matrix(rng: np.random.Generator, array: Array, *shape: int) -> np.ndarray:
    if array.floating:
        return rng.standard_normal(shape).astype(np.float32)
    return rng.integers(-128, 128, shape, dtype=np.int8)


def gemm(array: Array, m: int, n: int, k: int, seed: int, **modes: int) -> tuple[np.ndarray, np.ndarray]:
    """C and what it should be, by one loop_ws with padding at all ends."""
    rng = np.random.default_rng(seed)
    dim, item = array.dim, array.element.itemsize
    a, b = matrix(rng, array, m, k), matrix(rng, array, k, n)
    if not array.floating:
        a, b = a // 8, b // 8
    low = modes.get("low_d", 0)
    d = matrix(rng, array, m, n) if low else matrix(rng, array, m, n).astype(array.sum) * array.sum.type(50)
    a_stored = np.ascontiguousarray(a.T if modes.get("a_transpose") else a)
    b_stored = np.ascontiguousarray(b.T if modes.get("b_transpose") else b)
    out = np.zeros((m, n), array.sum if modes.get("full_c") else array.element)
    arrays = [a_stored, b_stored, d, out]
    at = (0x10000, 0x20000, 0x30000, 0x40000)
    buffers = [Buffer(address, x.reshape(-1).view(np.uint8)) for address, x in zip(at, arrays, strict=True)]
    oracle = GemminiOracle(buffers, array)
    bounds = (-(-m // dim), -(-n // dim), -(-k // dim))
    pads = (-m % dim, -n % dim, -k % dim)
    scale = 1.0 if array.floating else 1 / 64
    for _ in range(2):  # both halves of the memories
        out[:] = 0
        oracle.run(
            [
                config_ex(a_transpose=modes.get("a_transpose", 0), b_transpose=modes.get("b_transpose", 0)),
                config_ld(0, a_stored.shape[1] * item, block_stride=dim),
                config_ld(1, b_stored.shape[1] * item, block_stride=dim),
                config_ld(2, d.strides[0], block_stride=dim, shrunk=bool(low)),
                config_st(out.strides[0], scale, RELU),
                *loop_ws(
                    bounds,
                    pads,
                    at,
                    (a_stored.shape[1], b_stored.shape[1], n, n),
                    ex_accumulate=1,
                    **modes,
                ),
            ]
        )
    exact = a.astype(np.float64) @ b.astype(np.float64) + d
    if modes.get("full_c"):
        return out, exact
    return out, np.maximum(exact if array.floating else np.clip(np.rint(exact * scale), -128, 127), 0)


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("modes", [{}, {"a_transpose": 1}, {"b_transpose": 1}, {"full_c": 1}, {"low_d": 1}])
def test_loop_ws_is_a_gemm(array, modes):
    dim = array.dim
    out, expected = gemm(array, 2 * dim - 3, 3 * dim - 1, 2 * dim - 1, 4, **modes)
    if array.floating:
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    else:
        assert np.array_equal(out, expected)
    assert len(np.unique(out)) > 20


def test_loop_ws_splits_k_over_two_runs_through_null_pointers():
    """The first run stores nothing, so that the second meets its sums in the same half."""
    rng = np.random.default_rng(5)
    a, b = rng.integers(-128, 128, (32, 64), dtype=np.int8), rng.integers(-128, 128, (64, 48), dtype=np.int8)
    out = np.zeros((32, 48), np.int32)
    buffers = [Buffer(at, x.reshape(-1).view(np.uint8)) for at, x in ((0x1000, a), (0x4000, b), (0x8000, out))]
    oracle = GemminiOracle(buffers)
    oracle.run([config_ex(), config_ld(0, 64), config_ld(1, 48), config_st(192)])
    for half in range(2):
        pointers = (0x1000 + 32 * half, 0x4000 + 32 * 48 * half, 0, 0x8000 if half else 0)
        oracle.run(loop_ws((2, 3, 2), (0, 0, 0), pointers, (64, 48, 48, 48), ex_accumulate=half, full_c=1))
    assert np.array_equal(out, a.astype(np.int32) @ b.astype(np.int32))


def test_residual_add():
    rng = np.random.default_rng(6)
    a, b = rng.integers(-128, 128, (2, 40, 30), dtype=np.int8)
    out = np.zeros((40, 30), np.int8)
    buffers = [Buffer(at, x.reshape(-1).view(np.uint8)) for at, x in ((0x1000, a), (0x4000, b), (0x8000, out))]
    oracle = GemminiOracle(buffers)
    oracle.run(
        [
            config_ex(),
            config_ld(0, 30, shrunk=True),
            config_ld(1, 30, 0.5, shrunk=True),
            config_st(30, 1.0, RELU),
            *loop_ws((3, 2, 1), (8, 2, 0), (0x1000, 0x4000, 0, 0x8000), (30, 30, 30, 30), residual_add=1),
        ]
    )
    assert np.array_equal(out, np.clip(a.astype(np.int32) + np.rint(b / 2).astype(np.int32), 0, 127))
