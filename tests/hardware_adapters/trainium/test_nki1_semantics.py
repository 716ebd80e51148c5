# ruff: noqa: E501 - tables of one kernel per line
"""What NKI 1 means, pinned: masks, blocks, sums in PSUM, index tiles, grids, and which instructions come of it."""

from collections import Counter
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.trainium.nkisim.nki1.indexing import arange, where_holds
from hypothesis import given, settings
from hypothesis import strategies as st
from nki_job import run_kernel

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np


@nki.jit
def solution(x):
    out = nl.ndarray({shape}, dtype=nl.{dtype}, buffer=nl.shared_hbm)
"""
X = np.random.default_rng(5).standard_normal((128, 512)).astype(np.float32)
D = X.astype(np.float64)


def run(
    body: str, shape: tuple[int, ...] = (128, 512), dtype: str = "float32", x: np.ndarray = X
) -> tuple[np.ndarray, dict[str, Any]]:
    """The output, and the schedule's summary."""
    text = HEAD.format(shape=shape, dtype=dtype) + "".join(
        f"    {line}\n" for line in f"{body}\nreturn out".split("\n")
    )
    report, found = run_kernel(text, {"x": x}, [("out", shape, dtype)], "trn1")
    assert report["faults"] == [None], report["faults"]
    return found["out"], report["schedule"]


LOAD = "t = nl.load(x)\np, f = nl.mgrid[0:128, 0:512]\n"
STORE = "\nnl.store(out, value=r)"
CASES: dict[str, tuple[str, np.ndarray]] = {
    "operators": ("r = (2.0 - t) * t / 3 + (t > 0)", (2 - D) * D / 3 + (D > 0)),
    "a vector on the left": ("r = t[:, 0:1] - t", D[:, :1] - D),
    "a row for all partitions": ("r = nl.add(t, t[5:6, :])", D + D[5]),
    "a column of a tile": ("r = t + t[:, 3]", D + D[:, 3:4]),
    "in place": ("t += 1.0\nr = t", D + 1),
    "in place through an index": ("t[:, 0:256] += t[:, 256:512]\nr = t", np.hstack([D[:, :256] + D[:, 256:], D[:, 256:]])),
    "reversed by a negative step": ("r = nl.copy(t[p, 511 - f])", D[:, ::-1]),
    "every second element twice": (
        "i, j, k = nl.mgrid[0:128, 0:256, 0:2]\nr = nl.copy(t[i, 2 * j + 0 * k]).reshape((128, 512))",
        D[:, ::2].repeat(2, axis=1),
    ),
    "a mask keeps what was there": ("r = nl.copy(t)\nr[p, f] = nl.multiply(t, 0.0, mask=f >= 100)", np.where(np.arange(512) < 100, D, 0)),
    "a mask that is no box": ("r = nl.copy(t)\nr[...] = nl.multiply(t, 0.0, mask=p >= f)", np.where(np.tri(128, 512, dtype=bool), 0, D)),
    "a mask that never holds": ("r = nl.copy(t)\nr[...] = nl.multiply(t, 0.0, mask=(3 > 4))", D),
    "masked reduction": ("r = t * 0.0 + nl.sum(t, axis=1, mask=f < 7)", 0 * D + D[:, :7].sum(1, keepdims=True)),
    "a load under a mask": (
        "r = nl.zeros((128, 512), dtype=nl.float32)\nr[p, f] = nl.load(x[p + 28, f], mask=p + 28 < 128)",
        np.vstack([D[28:], np.zeros((28, 512))]),
    ),
    "load_transpose2d": ("r = nl.copy(t)\nr[:, 0:128] = nl.load_transpose2d(x[:, 0:128])", np.hstack([D[:, :128].T, D[:, 128:]])),
    "blocks": (
        "b = nl.ndarray((2, 2, nl.par_dim(128), 128), dtype=nl.float32)\n"
        "for i in nl.affine_range(2):\n    for j in nl.affine_range(2):\n        b[i, j] = t[:, nl.ds((2 * i + j) * 128, 128)]\n"
        "r = nl.copy(t)\nr[:, 0:128] = b[1, 0] + b[0][1]",
        np.hstack([D[:, 256:384] + D[:, 128:256], D[:, 128:]]),
    ),
    "numpy functions": ("r = nisa.activation(np.exp, t, scale=0.5)\nr = nisa.tensor_tensor(r, t, np.maximum)", np.maximum(np.exp(D / 2), D)),
    "reductions keep two dimensions": ("r = t - nisa.tensor_reduce(np.max, t, axis=(1,))", D - D.max(1, keepdims=True)),
    "axes that are not last": (
        "i, a, b, c = nl.mgrid[0:128, 0:4, 0:64, 0:2]\n"
        "m = nl.max(t[i, 128 * a + 2 * b + c], axis=[1, 3])\nr = nl.copy(t)\nr[:, 0:64] = m",
        np.hstack([D.reshape(128, 4, 64, 2).max(axis=(1, 3)), D[:, 64:]]),
    ),
    "softmax": ("r = nl.softmax(t, axis=1)", np.exp(D) / np.exp(D).sum(1, keepdims=True)),
    "variance": ("r = t * 0.0 + nl.var(t, axis=1)", 0 * D + D.var(1, keepdims=True)),
    "rms_norm": ("r = nl.rms_norm(t, t[0:1, :], axis=[1], n=512, epsilon=0.5)", D / np.sqrt((D**2).mean(1, keepdims=True) + 0.5) * D[0]),
    "where": ("r = nl.where(t > 0, t, -1.0)", np.where(D > 0, D, -1)),
    "predicated copy": ("r = nl.zeros((128, 512), dtype=nl.float32)\nnisa.tensor_copy_predicated(src=t, dst=r, predicate=t > 0.5)", np.where(D > 0.5, D, 0)),
    "iota": ("r = t * 0.0 + nisa.iota(2 * p + f, dtype=nl.float32)", 0 * D + 2 * np.arange(128)[:, None] + np.arange(512)),
    "affine_select under a mask": (
        "r = nl.copy(t)\nr[...] = nisa.affine_select(pred=f > 2 * p, on_true_tile=t, on_false_value=9.0, mask=p < 64)",
        np.where((np.arange(128) < 64)[:, None] & (np.arange(512) <= 2 * np.arange(128)[:, None]), 9, D),
    ),
    "matmul transposes": ("r = nl.copy(t)\nr[:, 0:128] = nl.matmul(t[:, 0:128], t[:, 0:128])", np.hstack([D[:, :128] @ D[:, :128], D[:, 128:]])),
    "products under masks of operands": (
        "s = nl.zeros((128, 512), dtype=nl.float32, buffer=nl.psum)\n"
        "s += nisa.nc_matmul(t[:, 0:128], t[p, f][f < 100])\nr = nl.copy(s)",
        np.where(np.arange(512) < 100, D[:, :128].T @ D, 0),
    ),
    "the first of several products overwrites": (
        "s = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)\n"
        "for _ in range(2):\n    s += nisa.nc_matmul(t[:, 0:128], t)\nr = nl.copy(s)",
        2 * D[:, :128].T @ D,
    ),
    "a row on all partitions beside a product": (
        "w = nl.zeros((128, 128), dtype=nl.float32)\np = nisa.nc_matmul(w, t)\nr = t + (p + t[0:1, :])",
        D + D[0:1],
    ),
    "zeros in PSUM without a product": ("s = nl.zeros((128, 512), dtype=nl.float32, buffer=nl.psum)\nr = s + t", D),
    "two tiles of PSUM added": (
        "a = nl.full((128, 512), 1.0, dtype=nl.float32, buffer=nl.psum)\n"
        "b = nl.full((128, 512), 2.0, dtype=nl.float32, buffer=nl.psum)\nr = (a + b) * t",
        3 * D,
    ),
    "a constant in memory": (
        "r = nl.copy(t)\nr[:, 0:128] = nl.load(nl.shared_constant(np.identity(128, dtype=np.int8), dtype=nl.float32))",
        np.hstack([np.eye(128), D[:, 128:]]),
    ),
    "means and variances in two steps": (
        "s = nisa.bn_aggr(nisa.bn_stats(t))\nr = t * 0.0 + s[:, 0:1] + 100 * s[:, 1:2]",
        0 * D + D.mean(1, keepdims=True) + 100 * D.var(1, keepdims=True),
    ),
    "from memory to memory": ("nl.store(out, value=t)\nr = nl.load(out)", D),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES)
def test_what_it_means(body: str, expected: np.ndarray) -> None:
    found, _ = run(LOAD + body + STORE)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def counts(body: str) -> Counter[str]:
    return Counter(run(LOAD + body + STORE)[1]["counts"])


BASE = Counter({"dma_copy": 2})
SUM = "s = nl.zeros((128, 512), dtype=nl.float32, buffer=nl.psum)\n"
INSTRUCTIONS: dict[str, tuple[str, dict[str, int]]] = {
    "an assigned result is no copy": ("r = nl.ndarray((128, 512), dtype=nl.float32)\nr[...] = nl.exp(t)", {"activation": 1}),
    "a tile that is used again is copied": ("r = nl.copy(t)\nr[...] = t", {"tensor_copy": 2}),
    "sums in PSUM are part of the products": (
        SUM + "for k in nl.affine_range(3):\n    s += nisa.nc_matmul(t[:, 0:128], t)\nr = nl.copy(s)", {"nc_matmul": 3, "tensor_copy": 1},
    ),
    "other sums are not": (
        SUM + "s += nisa.nc_matmul(t[:, 0:128], t)\ns[...] = s + nisa.nc_matmul(t[:, 0:128], t)\nr = nl.copy(s)",
        {"nc_matmul": 2, "tensor_tensor": 1, "tensor_copy": 2},
    ),
    "a store from PSUM goes by SBUF": ("r = nisa.nc_matmul(t[:, 0:128], t)", {"nc_matmul": 1, "tensor_copy": 1}),
    "zeros that are read are written": (SUM + "r = nl.copy(s)", {"memset": 1, "tensor_copy": 1}),
    "what a mask excludes costs nothing": ("r = nl.copy(t)\nr[...] = nl.exp(t, mask=(1 > 2))", {"tensor_copy": 1}),
    "free dimensions repeat without a copy": ("r = nl.add(t, t[:, 0:1].broadcast_to((128, 512)))", {"tensor_tensor": 1}),
    "one element per partition": ("r = t * t[:, 0:1]", {"tensor_scalar": 1}),
    "functions": ("r = nl.tanh(t)\nr = nl.rsqrt(nl.square(r))", {"activation": 3}),
    "a 32 x 32 transpose on the Vector engine": (
        "r = nl.copy(t)\nr[0:32, 0:32] = nisa.nc_transpose(t[0:32, 0:32])", {"tensor_copy": 1, "nc_transpose": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), INSTRUCTIONS.values(), ids=INSTRUCTIONS)
def test_which_instructions_come_of_it(body: str, expected: dict[str, int]) -> None:
    assert counts(body) == BASE + Counter(expected)


def test_results_keep_their_types() -> None:
    x = X.astype(ml_dtypes.bfloat16)
    body = "t = nl.load(x)\nr = nl.load(x, dtype=nl.float32) + t\nassert r.dtype == nl.float32\nr = t * t\nassert r.dtype == x.dtype"
    found, _ = run(f"{body}\nnl.store(out, value=r)", dtype="bfloat16", x=x)
    wide = x.astype(np.float32)
    np.testing.assert_array_equal(found, (wide * wide).astype(ml_dtypes.bfloat16))


GRID = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def double(x, out):
    row, column = nl.program_id(0), nl.program_id(1)
    assert nl.num_programs(0) == 2 and nl.num_programs() == 8 and nl.program_ndim() == 2
    i, j = row * 64 + nl.arange(64)[:, None], column * 128 + nl.arange(128)[None, :]
    nl.store(out[i, j], value=nl.load(x[i, j]) * 2.0)


def solution(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    double[2, 4](x, out)
    return out
"""


def test_a_grid_runs_every_program() -> None:
    report, found = run_kernel(GRID, {"x": X}, [("out", (128, 512), "float32")], "trn1")
    assert report["faults"] == [None]
    np.testing.assert_array_equal(found["out"], X * 2)
    assert report["schedule"]["counts"]["dma_copy"] == 16


def test_programs_share_the_output_that_they_return() -> None:
    inner = GRID.replace("double(x, out)", "double(x)").replace(
        "    row, column", "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n    row, column"
    )
    text = (
        inner[: inner.index("def solution")].rstrip()
        + "\n    return out\n\n\ndef solution(x):\n    return double[2, 4](x)\n"
    )
    report, found = run_kernel(text, {"x": X}, [("out", (128, 512), "float32")], "trn1")
    assert report["faults"] == [None]
    np.testing.assert_array_equal(found["out"], X * 2)


def test_tiles_that_do_not_fit_are_spilled_with_their_cost() -> None:
    body = "ts = [nl.exp(nl.load(x), scale) for scale in ()]\nb = nl.ndarray((12, nl.par_dim(128), 6144), dtype=nl.float32)\nt = nl.load(x)\nfor i in nl.affine_range(12):\n    b[i] = nl.full((128, 6144), float(i), dtype=nl.float32)\nr = t * 0.0\nfor i in nl.affine_range(12):\n    r += b[i, :, 0:512]"
    found, schedule = run(body + STORE)
    np.testing.assert_array_equal(found, np.full((128, 512), 66.0))
    assert schedule["counts"]["spill_store"] >= 4 and schedule["counts"]["spill_load"] >= 4
    assert schedule["peak"]["sbuf"] <= 196608


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-20, 20)),
    st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-20, 20)),
    st.sampled_from(("<", "<=", ">", ">=", "==", "!=")),
)
def test_masks_hold_where_numpy_says(a: tuple[int, int, int], b: tuple[int, int, int], operator: str) -> None:
    i, j = arange(6)[:, None], arange(9)[None, :]
    rows, columns = np.arange(6)[:, None], np.arange(9)[None, :]
    compare = {
        "<": lambda x, y: x < y, "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
        "==": lambda x, y: x == y, "!=": lambda x, y: x != y,
    }[operator]  # fmt: skip
    mask = compare(i * a[0] + a[1] * j + a[2], b[0] * i + j * b[1] - b[2])
    expected = np.broadcast_to(
        compare(rows * a[0] + a[1] * columns + a[2], b[0] * rows + columns * b[1] - b[2]), (6, 9)
    )
    where = where_holds(mask, (6, 9), "test")
    held = np.zeros((6, 9), np.bool_)
    if where is not None:
        held[where.box] = True if where.dense is None else where.dense
    np.testing.assert_array_equal(held, expected)
