"""The oracle against plain NumPy: whole computations, whose answers do not depend on how Gemmini divides them."""

from __future__ import annotations

import numpy as np
import pytest
from command_encoding import config_ex, config_ld, config_st, local
from gemmini_isa import (
    ACCUMULATE,
    ACCUMULATOR,
    COMPUTE_ACCUMULATED,
    COMPUTE_PRELOADED,
    COUNTER,
    DEFAULT,
    FLUSH,
    FULL_WIDTH,
    GARBAGE,
    MVIN,
    MVIN3,
    MVOUT,
    OS,
    PRELOAD,
    TINYMPC,
    WIDE,
    WS,
    Array,
    Buffer,
    Command,
)
from gemmini_oracle import GemminiOracle
from gemmini_store import Pooling

IN, OUT = 0x1000, 0x100000


def machine(data: np.ndarray, out: np.ndarray, array: Array = DEFAULT) -> GemminiOracle:
    buffers = [
        Buffer(IN, np.ascontiguousarray(data).reshape(-1).view(np.uint8)),
        Buffer(OUT, out.reshape(-1).view(np.uint8)),
    ]
    return GemminiOracle(buffers, array)


def matrix(rng: np.random.Generator, array: Array, *shape: int) -> np.ndarray:
    if array.floating:
        return rng.standard_normal(shape).astype(np.float32)
    return rng.integers(-128, 128, shape, dtype=np.int8)


def tile(array: Array, number: int) -> int:
    return number * array.dim


@pytest.mark.parametrize("array", [DEFAULT, TINYMPC, WIDE])
@pytest.mark.parametrize("a_transpose, b_transpose", [(0, 0), (1, 0), (0, 1)])
def test_weight_stationary_product_with_transposes(array, a_transpose, b_transpose):
    rng = np.random.default_rng(1)
    dim, item = array.dim, array.element.itemsize
    m, n, k = dim - 1, dim - 2, dim - 3
    a, b = matrix(rng, array, m, k), matrix(rng, array, k, n)
    stored = np.zeros((2, dim, dim), array.element)
    for number, operand in enumerate((a.T if a_transpose else a, b.T if b_transpose else b)):
        stored[number, : operand.shape[0], : operand.shape[1]] = operand
    out = np.zeros((m, n), array.sum)
    oracle = machine(stored, out, array)
    oracle.run(
        [
            config_ex(a_transpose=a_transpose, b_transpose=b_transpose),
            config_ld(0, dim * item, block_stride=dim),
            config_st(n * 4),
            Command(MVIN, IN, local(0, dim, dim)),
            Command(MVIN, IN + dim * dim * item, local(tile(array, 1), dim, dim)),
            Command(PRELOAD, local(tile(array, 1), n, k), local(ACCUMULATOR, n, m)),
            Command(COMPUTE_PRELOADED, local(0, k, m), local(GARBAGE, dim, dim)),
            Command(MVOUT, OUT, local(ACCUMULATOR | FULL_WIDTH, n, m)),
        ]
    )
    if array.floating:
        np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)
    else:
        assert np.array_equal(out, a.astype(np.int32) @ b.astype(np.int32))


@pytest.mark.parametrize("a_transpose, b_transpose", [(0, 0), (1, 0), (1, 1)])
@pytest.mark.parametrize("shift", [0, 5])
def test_output_stationary_sums_over_two_products_and_shifts_on_the_way_out(a_transpose, b_transpose, shift):
    rng = np.random.default_rng(2)
    a, b = rng.integers(-20, 20, (2, 16, 16), dtype=np.int8), rng.integers(-20, 20, (2, 16, 16), dtype=np.int8)
    d = rng.integers(-100, 100, (16, 16), dtype=np.int8)
    stored = [*(x.T if a_transpose else x for x in a), *(x.T if b_transpose else x for x in b), d]
    out = np.zeros((16, 16), np.int8)
    oracle = machine(np.stack(stored), out)
    loads = [Command(MVIN, IN + 256 * n, local(16 * n, 16, 16)) for n in range(5)]
    oracle.run(
        [
            config_ex(OS, relu=1, a_transpose=a_transpose, b_transpose=b_transpose, shift=shift),
            config_ld(0, 16),
            config_st(16),
            *loads,
            Command(PRELOAD, local(64, 16, 16), local(GARBAGE, 16, 16)),
            Command(COMPUTE_PRELOADED, local(0, 16, 16), local(32, 16, 16)),
            Command(PRELOAD, local(GARBAGE, 16, 16), local(100, 16, 16)),
            Command(COMPUTE_ACCUMULATED, local(16, 16, 16), local(48, 16, 16)),
            Command(MVOUT, OUT, local(100, 16, 16)),
        ]
    )
    total = sum(x.astype(np.int64) @ y.astype(np.int64) for x, y in zip(a, b, strict=True)) + d
    expected = np.clip(np.rint(total / 2.0**shift), -128, 127)
    assert np.array_equal(out, np.maximum(expected, 0))
    assert len(np.unique(out)) > 20


def test_shift_and_transposes_of_the_wrong_dataflow_do_nothing():
    a = np.arange(256, dtype=np.uint8).view(np.int8).reshape(16, 16)
    out = np.zeros((16, 16), np.int8)
    oracle = machine(np.stack([a, np.eye(16, dtype=np.int8)]), out)
    oracle.run(
        [
            config_ex(WS, shift=3),
            config_ld(0, 16),
            config_st(16),
            Command(MVIN, IN, local(0, 16, 16)),
            Command(MVIN, IN + 256, local(16, 16, 16)),
            Command(PRELOAD, local(16, 16, 16), local(32, 16, 16)),
            Command(COMPUTE_PRELOADED, local(0, 16, 16), local(GARBAGE, 16, 16)),
            Command(FLUSH, 0, 0),
            Command(COUNTER, 0x9, 0),
            Command(MVOUT, OUT, local(32, 16, 16)),
        ]
    )
    assert np.array_equal(out, a)


def test_strides_of_a_and_c_and_the_strides_only_form():
    rng = np.random.default_rng(3)
    a, b = rng.integers(-4, 5, (32, 16), dtype=np.int8), rng.integers(-4, 5, (16, 16), dtype=np.int8)
    out = np.zeros((32, 16), np.int8)
    oracle = machine(np.concatenate([a, b]), out)
    oracle.run(
        [
            config_ex(relu=1),
            config_ex(OS, a_stride=2, c_stride=2, strides_only=1),
            config_ld(0, 16, block_stride=16),
            config_st(16),
            *(Command(MVIN, IN + 256 * n, local(16 * n, 16, 16)) for n in range(3)),
            Command(MVIN, 0, local(64, 16, 16)),
            Command(MVIN, 0, local(80, 16, 16)),
            Command(PRELOAD, local(32, 16, 16), local(64, 16, 16)),
            Command(COMPUTE_PRELOADED, local(1, 16, 16), local(GARBAGE, 16, 16)),
            Command(MVOUT, OUT, local(64, 16, 16)),
            Command(MVOUT, OUT + 256, local(80, 16, 16)),
        ]
    )
    expected = np.zeros((32, 16), np.int64)
    expected[::2] = np.clip(a[1::2].astype(np.int64) @ b, 0, 127)
    assert np.array_equal(out, expected)


def test_pooling_takes_maxima_with_padding_as_zero():
    rng = np.random.default_rng(7)
    image = rng.integers(-500, 100, (5, 6, 16), dtype=np.int32)
    out = np.zeros((3, 3, 16), np.int8)
    oracle = machine(image, out)
    pooling = Pooling(stride=2, size=3, upad=1, lpad=1, out_dim=3, porows=3, pocols=3, orows=5, ocols=6)
    oracle.run(
        [
            config_ld(2, 64, block_stride=16),
            *(Command(MVIN3, IN + 64 * 15 * n, local(ACCUMULATOR | 15 * n, 16, 15)) for n in range(2)),
            config_st(16, 0.25, 0, pooling),
            Command(MVOUT, OUT, local(ACCUMULATOR, 16, 0)),
        ]
    )
    scaled = np.clip(np.rint(image * 0.25), -128, 127)
    padded = np.zeros((7, 8, 16))
    padded[1:6, 1:7] = scaled
    expected = [[padded[2 * r : 2 * r + 3, 2 * c : 2 * c + 3].max((0, 1)) for c in range(3)] for r in range(3)]
    assert np.array_equal(out, np.array(expected))
    assert out.min() < 0 < out.max()


def test_pixel_repeats_shift_copies_up_and_right():
    pixels = np.arange(1, 33, dtype=np.int8).reshape(8, 4)
    out = np.zeros((8, 16), np.int8)
    oracle = machine(pixels, out)
    oracle.run(
        [
            config_ld(1, 4, block_stride=16),
            Command(1, 0, local(8190, 16, 10)),
            config_ld(0, 4, repeats=3),
            Command(MVIN, IN, local(8192, 4, 8)),
            config_st(16),
            Command(MVOUT, OUT, local(8192, 16, 8)),
        ]
    )
    expected = np.zeros((8, 16), np.int8)
    for n in range(3):
        expected[: 8 - n, 4 * n : 4 * n + 4] = pixels[n:]
    assert np.array_equal(out, expected)
    assert not oracle.scratchpad[8190:8192].any()  # nothing leaves the upper half


def test_accumulating_loads_add_and_wrap():
    data = np.array([[2**31 - 1] * 16, [1] * 16], np.int32)
    out = np.zeros(16, np.int32)
    oracle = machine(data, out)
    oracle.run(
        [
            config_ld(0, 64),
            config_st(64),
            Command(MVIN, IN, local(ACCUMULATOR, 16, 1)),
            Command(MVIN, IN + 64, local(ACCUMULATOR | ACCUMULATE, 16, 1)),
            Command(MVIN, 0, local(ACCUMULATOR | ACCUMULATE, 16, 1)),
            Command(MVOUT, OUT, local(ACCUMULATOR | FULL_WIDTH, 16, 1)),
        ]
    )
    assert np.array_equal(out, np.full(16, -(2**31)))
