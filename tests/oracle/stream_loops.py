"""Random runs of loop_ws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command_encoding import config_ex, config_ld, config_norm, config_st, loop_ws
from gemmini_isa import LAYERNORM, NONE, RELU, SOFTMAX

if TYPE_CHECKING:
    from stream_maker import Maker


def _shape(maker: Maker, most: int = 0) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    rng = maker.rng
    most = most or {4: 5, 32: 2}.get(maker.dim, 3)
    bounds = (rng.randint(1, most), rng.randint(1, most), rng.randint(1, most))
    pads = tuple(rng.choice([0, rng.randrange(maker.dim)]) for _ in range(3))
    return bounds, (pads[0], pads[1], pads[2])


def _matrix(maker: Maker, rows: int, cols: int, item: int = 0) -> tuple[int, int]:
    """A random place for a matrix in the input, and its row stride in elements."""
    item = item or maker.item
    stride = cols + maker.rng.choice([0, 0, 3, 16])
    return maker.source(((rows - 1) * stride + cols) * item, item), stride


def matmul_loop(maker: Maker) -> None:
    rng = maker.rng
    (i, j, k), pads = _shape(maker)
    m, n, depth = (count * maker.dim - pad for count, pad in zip((i, j, k), pads, strict=True))
    a_transpose, b_transpose = rng.choice([(0, 0), (0, 0), (1, 0), (0, 1)])
    a, a_stride = _matrix(maker, *((depth, m) if a_transpose else (m, depth)))
    b, b_stride = _matrix(maker, *((n, depth) if b_transpose else (depth, n)))
    low_d, full_c = rng.randrange(2), rng.randrange(2)
    d, d_stride = _matrix(maker, m, n, maker.item if low_d else maker.wide_item)
    if rng.random() < 0.3:
        d_stride = 0  # one row of bias for all
    if rng.random() < 0.3:
        d = 0
    d_bytes = d_stride * (maker.item if low_d else maker.wide_item)
    c_stride = n + rng.choice([0, 5])
    item = maker.wide_item if full_c else maker.item
    c = maker.target(m * c_stride * item)
    maker.add(
        config_ex(a_transpose=a_transpose, b_transpose=b_transpose),
        config_ld(0, a_stride * maker.item, rng.choice([1.0, 0.5]), maker.dim),
        config_ld(1, b_stride * maker.item, rng.choice([1.0, -0.25]), maker.dim),
        config_ld(2, d_bytes, rng.choice([1.0, 0.5]), maker.dim, bool(low_d)),
        config_st(c_stride * item, rng.choice([1.0, 1 / 64]), rng.choice([NONE, RELU])),
    )
    a_spad, b_spad = rng.choice([0, 0, 1, 2]), rng.choice([0, 0, 1, 2])
    modes = {"a_transpose": a_transpose, "b_transpose": b_transpose, "full_c": full_c, "low_d": low_d}
    strides = (a_stride, b_stride, d_stride, c_stride)
    accumulate = 1 if d else rng.choice([0, 0, 1])
    half = maker.oracle.matmul_loop.runs % 2
    split = rng.random() < 0.3  # the first run leaves its sums for the second
    run = loop_ws(
        (i, j, k),
        pads,
        (a, b, d, 0 if split else c),
        strides,
        ex_accumulate=accumulate,
        a_spad=a_spad,
        b_spad=b_spad,
        **modes,
    )
    maker.add(*run)
    if split or rng.random() < 0.2:  # again, with an operand that is already there
        reuse_a, reuse_b = rng.choice([(1, 0), (0, 1), (1, 1)])
        places = {"a_spad": a_spad or half + 1 if reuse_a else 0, "b_spad": b_spad or half + 1 if reuse_b else 0}
        pointers = (0 if reuse_a else a, 0 if reuse_b else b, 0, c)
        maker.add(*loop_ws((i, j, k), pads, pointers, strides, ex_accumulate=int(split), **places, **modes))


def residual_loop(maker: Maker) -> None:
    rng = maker.rng
    bounds, pads = _shape(maker)
    rows, cols = bounds[0] * maker.dim - pads[0], bounds[1] * maker.dim - pads[1]
    (a, a_stride), (b, b_stride) = _matrix(maker, rows, cols), _matrix(maker, rows, cols)
    full = rng.randrange(2)
    item = maker.wide_item if full else maker.item
    maker.add(
        config_ld(0, a_stride * maker.item, rng.choice([1.0, 0.3]), maker.dim, True),
        config_ld(1, b_stride * maker.item, rng.choice([1.0, -1.7]), maker.dim, True),
        config_st(cols * item, rng.choice([1.0, 0.5]), rng.choice([NONE, RELU])),
    )
    pointers = (a, b, 0, maker.target(rows * cols * item) if rng.random() < 0.9 else 0)
    strides = (a_stride, b_stride, 0, cols)
    maker.add(*loop_ws((*bounds[:2], 1), (*pads[:2], 0), pointers, strides, residual_add=1, full_c=full))


def normalised_loop(maker: Maker) -> None:
    """Layernorm or softmax of a product, row by row."""
    rng = maker.rng
    (i, j, k), pads = _shape(maker, 2)
    m, n, depth = (count * maker.dim - pad for count, pad in zip((i, j, k), pads, strict=True))
    (a, a_stride), (b, b_stride) = _matrix(maker, m, depth), _matrix(maker, depth, n)
    activation = rng.choice([LAYERNORM, SOFTMAX])
    maker.add(config_ex(), config_ld(0, a_stride, 0.05, maker.dim), config_ld(1, b_stride, 0.05, maker.dim))
    maker.add(config_st(n, rng.choice([1.0, 30.0]), activation & 3))
    if activation == SOFTMAX:
        maker.add(config_norm(40, 900, 14, softmax=True), config_norm(40, 900, 65536 // 14, inverse=True, softmax=True))
    pointers, strides = (a, b, 0, maker.target(m * n)), (a_stride, b_stride, 0, n)
    maker.add(*loop_ws((i, j, k), pads, pointers, strides, activation=activation))
    maker.add(config_st(64, 1.0, RELU))
