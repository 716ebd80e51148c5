# ruff: noqa: E501 - tables of one kernel per line
"""What instructions compute, against NumPy in float64."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nki_job import kernel, run_kernel

RNG = np.random.default_rng(7)
X = RNG.standard_normal((128, 512)).astype(np.float32)
LOAD = "out = nl.ndarray({shape}, dtype={dtype}, buffer=nl.shared_hbm)\nt = nl.ndarray(x.shape, dtype=x.dtype)\nnisa.dma_copy(dst=t, src=x)\n"
STORE = "\nnisa.dma_copy(dst=out, src=r)\nreturn out"


def result(body: str, shape: tuple[int, ...] = (128, 512), dtype: str = "float32", x: np.ndarray = X) -> np.ndarray:
    """Of a kernel that loads x into t and computes r."""
    source = kernel(LOAD.format(shape=shape, dtype=f"nl.{dtype}") + body + STORE)
    report, found = run_kernel(source, {"x": x}, [("out", shape, dtype)])
    assert report["faults"] == [None], report["faults"]
    return found["out"]


NEW = "r = nl.ndarray((128, 512), dtype=nl.float32)\n"
ROW = "r = nl.ndarray((128, 1), dtype=nl.float32)\n"
D = X.astype(np.float64)
CASES: dict[str, tuple[str, np.ndarray]] = {
    "activation": (NEW + "nisa.activation(dst=r, op=nl.exp, data=t, scale=0.5, bias=1.0)", np.exp(D / 2 + 1)),
    "bias per partition": (NEW + "nisa.activation(dst=r, op=nl.tanh, data=t, bias=t[:, 3:4])", np.tanh(D + D[:, 3:4])),
    "activation_reduce": (
        NEW + "s = nl.ndarray((128, 1), dtype=nl.float32)\n"
        "nisa.activation_reduce(dst=r, op=nl.square, data=t, reduce_op=nl.add, reduce_res=s)\n"
        "nisa.tensor_scalar(dst=r, data=r, op0=nl.divide, operand0=s)",
        D**2 / (D**2).sum(1, keepdims=True),
    ),
    "sums in registers": (
        ROW + "j = nl.ndarray((128, 256), dtype=nl.float32)\n"
        "nisa.activation(dst=j, op=nl.copy, data=t[:, 0:256], reduce_op=nl.add, reduce_cmd=nisa.reduce_cmd.reset_reduce)\n"
        "nisa.activation(dst=j, op=nl.copy, data=t[:, 256:512], reduce_op=nl.add, reduce_res=r,\n"
        "                reduce_cmd=nisa.reduce_cmd.reduce)",
        D.sum(1, keepdims=True),
    ),
    "tensor_tensor": (NEW + "nisa.tensor_tensor(dst=r, data1=t, data2=t, op=nl.multiply)", D * D),
    "tensor_scalar": (
        NEW + "nisa.tensor_scalar(dst=r, data=t, op0=nl.subtract, operand0=2.0, reverse0=True, op1=nl.maximum, operand1=t[:, 0:1])",
        np.maximum(2 - D, D[:, :1]),
    ),
    "tensor_scalar_reduce": (
        NEW + "m = nl.ndarray((128, 1), dtype=nl.float32)\n"
        "nisa.tensor_scalar_reduce(dst=r, data=t, op0=nl.multiply, operand0=3.0, reduce_op=nl.max, reduce_res=m)\n"
        "nisa.tensor_scalar(dst=r, data=r, op0=nl.subtract, operand0=m)",
        3 * D - (3 * D).max(1, keepdims=True),
    ),
    "scalar_tensor_tensor": (
        NEW + "nisa.scalar_tensor_tensor(dst=r, data=t, op0=nl.add, operand0=1.5, op1=nl.multiply, operand1=t)",
        (D + 1.5) * D,
    ),
    "tensor_reduce": (ROW + "nisa.tensor_reduce(dst=r, op=nl.maximum, data=t, axis=1, negate=True)", -D.max(1, keepdims=True)),
    "reduction of the last of three": (
        "r = nl.ndarray((128, 32), dtype=nl.float32)\nnisa.tensor_reduce(dst=r, op=nl.add, data=t.reshape((128, 32, 16)), axis=2)",
        D.reshape(128, 32, 16).sum(2),
    ),
    "scan": (
        NEW + "h = nl.full((128, 512), 0.5, dtype=nl.float32)\n"
        "nisa.tensor_tensor_scan(dst=r, data0=h, data1=t, initial=t[:, 0:1], op0=nl.multiply, op1=nl.add)",
        np.stack([(0.5 ** (i + 1)) * D[:, 0] + sum(0.5 ** (i - j) * D[:, j] for j in range(i + 1)) for i in range(512)], 1),
    ),
    "reciprocal": (NEW + "nisa.reciprocal(dst=r, data=t)", 1 / D),
    "transpose": (
        "p = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.psum)\nr = nl.ndarray((128, 128), dtype=nl.float32)\n"
        "nisa.nc_transpose(dst=p, data=t[:, 128:256])\nnisa.tensor_copy(dst=r, src=p)",
        D[:, 128:256].T,
    ),
    "product that accumulates": (
        "p = nl.ndarray((128, 256), dtype=nl.float32, buffer=nl.psum)\nr = nl.ndarray((128, 256), dtype=nl.float32)\n"
        "for k in nl.affine_range(2):\n    nisa.nc_matmul(dst=p, stationary=t[:, k * 128:(k + 1) * 128], moving=t[:, 256:512])\n"
        "nisa.tensor_copy(dst=r, src=p)",
        (D[:, :128] + D[:, 128:256]).T @ D[:, 256:],
    ),
    "product that overwrites": (
        "p = nl.ndarray((128, 256), dtype=nl.float32, buffer=nl.psum)\nr = nl.ndarray((128, 256), dtype=nl.float32)\n"
        "for k in nl.sequential_range(2):\n"
        "    nisa.nc_matmul(dst=p, stationary=t[:, k * 128:(k + 1) * 128], moving=t[:, 256:512], accumulate=False)\n"
        "nisa.tensor_copy(dst=r, src=p)",
        D[:, 128:256].T @ D[:, 256:],
    ),
    "iota": (
        "i = nl.ndarray((128, 512), dtype=nl.int32)\nnisa.iota(dst=i, pattern=[[2, 512]], offset=5, channel_multiplier=7)\n"
        + NEW + "nisa.tensor_copy(dst=r, src=i)",
        5 + 7.0 * np.arange(128)[:, None] + 2 * np.arange(512),
    ),
    "affine_select": (
        NEW + "nisa.affine_select(dst=r, pattern=[[-1, 512]], offset=0, channel_multiplier=1, on_true_tile=t,\n"
        "                   on_false_value=-9.0, cmp_op=nl.greater_equal)",
        np.where(np.arange(128)[:, None] >= np.arange(512), D, -9.0),
    ),
    "operators on tiles": ("r = nl.add(nl.multiply(t, 2.0), nl.maximum(t, t[:, 0:1]))", 2 * D + np.maximum(D, D[:, :1])),
    "number before a tile": ("r = nl.subtract(1.0, t)", 1 - D),
    "assignment copies": (NEW + "r[:, 0:256] = t[:, 256:512]\nr[:, 256:512] = t[:, 0:256]", np.roll(D, 256, axis=1)),
    "a partition repeated": ("r = nl.broadcast_to(t[5:6, :], (128, 512))", np.broadcast_to(D[5], (128, 512))),
    "a column repeated": (
        NEW + "nisa.tensor_tensor(dst=r, data1=t, data2=t[:, 9:10].broadcast(1, 512), op=nl.add)",
        D + D[:, 9:10],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES)
def test_instructions_compute_what_numpy_does(body: str, expected: np.ndarray) -> None:
    assert np.allclose(result(body, expected.shape), expected, rtol=2e-5, atol=2e-5)


def test_comparisons_give_flags_and_integers_saturate() -> None:
    flags = (
        "r = nl.ndarray((128, 512), dtype=nl.uint8)\nnisa.tensor_scalar(dst=r, data=t, op0=nl.greater, operand0=0.0)"
    )
    assert np.array_equal(result(flags, dtype="uint8"), (X > 0).astype(np.uint8))
    bytes_ = (
        "r = nl.ndarray((128, 512), dtype=nl.int8)\nnisa.tensor_scalar(dst=r, data=t, op0=nl.multiply, operand0=100.0)"
    )
    expected = np.clip(np.rint((X * np.float32(100)).astype(np.float64)), -128, 127).astype(np.int8)
    assert np.array_equal(result(bytes_, dtype="int8"), expected)


def test_parts_never_written_are_not_a_number() -> None:
    body = NEW + "nisa.memset(dst=r[:, 0:100], value=1.0)"
    found = result(body)
    assert (found[:, :100] == 1).all() and np.isnan(found[:, 100:]).all()


def test_bfloat16_is_rounded_once_and_products_are_not() -> None:
    b = X.astype(ml_dtypes.bfloat16)
    copied = result("r = nl.ndarray((128, 512), dtype=nl.bfloat16)\nnisa.tensor_copy(dst=r, src=t)", dtype="bfloat16")
    assert np.array_equal(copied, b)
    product = "p = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)\n" + NEW
    product += "nisa.nc_matmul(dst=p, stationary=t[:, 0:128], moving=t)\nnisa.tensor_copy(dst=r, src=p)"
    wide = b.astype(np.float64)
    assert np.allclose(result(product, x=b), wide[:, :128].T @ wide, rtol=1e-5, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_slices_of_tiles_are_those_of_numpy(data: st.DataObject) -> None:
    shape = (6, 4, 10)
    x = np.arange(240, dtype=np.float32).reshape(shape)
    parts: list[Any] = []
    for extent in shape:
        start = data.draw(st.integers(0, extent - 1))
        stop = data.draw(st.integers(start + 1, extent))
        step = data.draw(st.integers(1, 3))
        parts.append(f"{start}:{stop}:{step}")
    key = ", ".join(parts)
    expected = eval(f"x[{key}]")
    body = f"r = nl.ndarray({expected.shape}, dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=t[{key}])"
    assert np.array_equal(result(body, expected.shape, x=x), expected)
