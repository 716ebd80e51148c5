"""The hardware loops, as a kernel uses them through gemmini_api.h, against products and convolutions in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from riscv_machine import RunKernel
from test_gemmini_commands import RNG, full, product, sat8, small, written

CONFIG = "config_ex(WS, NOACT, 1, {at}, {bt}); config_ld({a}, 1.0f, 16, 0); config_ld({b}, 1.0f, 16, 1);"
BIAS = "config_ld({d}, 1.0f, 16, 2);"
LOOP = (
    "gemmini_loop_ws({i}, {j}, {k}, {pi}, {pj}, {pk}, {operands}, {sa}, {sb}, {n}, {n}, {at}, {bt}, 0, 0, {add},"
    " 0, 0, 0, 0);"
)
TILE = dict(i=1, j=1, k=1, pi=0, pj=0, pk=0, sa=16, sb=16, n=16, at=0, bt=0, add=0)


def blocks(size: int) -> tuple[int, int]:
    count = -(-size // 16)
    return count, count * 16 - size


@pytest.mark.parametrize(("at", "bt"), [(0, 0), (1, 0), (0, 1)])
@pytest.mark.parametrize("mode", ["functional", "timed"])
def test_loop_ws_multiplies_a_padded_tile(run_kernel: RunKernel, at: int, bt: int, mode: str) -> None:
    m, n, k = 40, 83, 100
    a, b, d = small(m, k), small(k, n), RNG.integers(-300, 300, (m, n), np.int32)
    (i, pi), (j, pj), (kk, pk) = blocks(m), blocks(n), blocks(k)
    sa, sb = (m if at else k), (k if bt else n)
    operands = f"in, in + {a.size}, in + {a.size + b.size}, out"
    got = run_kernel(
        CONFIG.format(a=sa, b=sb, at=at, bt=bt)
        + BIAS.format(d=4 * n)
        + f"config_st_ext({n}, RELU, 0.25f);"
        + LOOP.format(i=i, j=j, k=kk, pi=pi, pj=pj, pk=pk, operands=operands, sa=sa, sb=sb, n=n, at=at, bt=bt, add=1),
        np.ascontiguousarray(a.T if at else a),
        np.ascontiguousarray(b.T if bt else b),
        d,
        mode=mode,
    )
    expected = np.maximum(product(a, b) + d, 0).astype(np.float32) * np.float32(0.25)
    assert np.array_equal(written(got, (m, n)), sat8(np.rint(expected)))
    counters = got.case["calls"][0]["counters"]
    assert counters["loop_ws"] == 1 and counters["compute"] == i * j * kk


def test_consecutive_loops_use_different_halves(run_kernel: RunKernel) -> None:
    a, b = small(16, 16), small(16, 16)
    loop = LOOP.format(operands="{}, in + 256, NULL, out", **TILE)
    got = run_kernel(
        CONFIG.format(a=16, b=16, at=0, bt=0)
        + "config_st(16);"
        + loop.format("in")
        + loop.format("in + 256")
        # B of the first loop lies at the end of the first half, A of the second at the beginning of the second
        + "mvout(out + 256, 8192 - 16, 16, 16); mvout(out + 512, 8192, 16, 16); mvout(out + 768, ACC, 16, 16);"
        " mvout(out + 1024, ACC + 512, 16, 16);",
        a,
        b,
    )
    first, second, product_of_first, product_of_second = written(got, (5, 16, 16))[1:]
    assert np.array_equal(first, b) and np.array_equal(second, b)
    assert np.array_equal(product_of_first, sat8(product(a, b)))
    assert np.array_equal(product_of_second, sat8(product(b, b)))


def test_loop_ws_adds_residuals(run_kernel: RunKernel) -> None:
    a, b = full(40, 70), full(40, 70)
    (i, pi), (j, pj) = blocks(40), blocks(70)
    got = run_kernel(
        "config_ex(WS, NOACT, 1, 0, 0); gemmini_extended3_config_ld(70, 0.5f, 1, 0);"
        " gemmini_extended3_config_ld(70, 1.0f, 1, 1);"
        "config_st_ext(70, RELU, 1.0f);"
        f"gemmini_loop_ws({i}, {j}, 0, {pi}, {pj}, 0, in, in + 2800, NULL, out, 70, 70, 0, 70, 0, 0, 0, 0, 0,"
        f" 0, 0, 0, 1);",
        a,
        b,
    )
    halved = np.rint(a * np.float32(0.5)).astype(np.int64)
    assert np.array_equal(written(got, (40, 70)), np.maximum(sat8(halved + b), 0))


# ---------------------------------------------------------------- convolutions

CONV = (
    "gemmini_loop_conv_ws({batch}, {h}, {w}, {ci}, {co}, {oh}, {ow}, {ph}, {pw}, {stride}, {pad}, {kd},"
    " {dilation}, {ps}, {pstride},"
    " {ppad}, {batch}, {ph}, {pw}, {co}, {kd}, {kd}, {ci}, {pad}, {right}, {pad}, {right}, {ppad}, {ppad},"
    " {ppad}, {ppad}, {oh}, {ow},"
    " in + {weights}, out, in + {bias}, in, 0, {no_pool}, {downsample}, {rot}, 0, 1, 0, 0, 0, 0, {pixels},"
    " {ci}, {co}, {co}, 0, 0, 0);"
)


def convolution(image: np.ndarray, weights: np.ndarray, stride: int, pad: int, dilation: int) -> np.ndarray:
    """Batch x rows x columns x channels, kernel rows x columns x in x out; zeros around the image."""
    batch, h, w, _ = image.shape
    reach = (weights.shape[0] - 1) * dilation + 1
    padded = np.pad(image.astype(np.int64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, cols = ((n + 2 * pad - reach) // stride + 1 for n in (h, w))
    out = np.zeros((batch, rows, cols, weights.shape[3]), np.int64)
    for r, c in np.ndindex(rows, cols):
        window = padded[:, r * stride : r * stride + reach : dilation, c * stride : c * stride + reach : dilation]
        out[:, r, c] = np.tensordot(window, weights.astype(np.int64), ([1, 2, 3], [0, 1, 2]))
    return out


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"stride": 2},
        {"dilation": 2},
        {"rot": 1},
        {"ci": 3, "pixels": 3},
        {"pooled": 1},
        {"kd": 1, "pad": 0, "stride": 2, "downsample": 1},
    ],
    ids=str,
)
def test_loop_conv_ws(run_kernel: RunKernel, case: dict[str, int]) -> None:
    f = dict(batch=2, h=8, w=8, ci=20, co=18, kd=3, pad=1, stride=1, dilation=1, rot=0, pixels=1, downsample=0)
    f |= dict(pooled=0, ps=0, pstride=0, ppad=0) | case
    image, weights = small(f["batch"], f["h"], f["w"], f["ci"]), small(f["kd"], f["kd"], f["ci"], f["co"])
    bias = RNG.integers(-50, 50, f["co"], np.int32)
    kernel = weights[::-1, ::-1] if f["rot"] else weights
    expected = convolution(image, kernel, f["stride"], f["pad"], f["dilation"]) + bias
    expected = sat8(np.rint(np.maximum(expected, 0).astype(np.float32) * np.float32(0.125)))
    _, f["oh"], f["ow"], _ = expected.shape
    f |= {"ph": f["oh"], "pw": f["ow"], "no_pool": 1}
    if f["pooled"]:
        f |= {"ps": 2, "pstride": 2, "ph": f["oh"] // 2, "pw": f["ow"] // 2, "no_pool": 0}
        expected = np.max([expected[:, r::2, c::2] for r in (0, 1) for c in (0, 1)], axis=0)
    reach = (f["kd"] - 1) * f["dilation"] + 1
    f["right"] = (f["oh"] - 1) * f["stride"] + reach - f["h"] - f["pad"] if not f["downsample"] else 0
    # the loop's input is orows * stride + reach - 1 rows high: what lies behind the last window is padding
    f["right"] += f["stride"] - 1 if not f["downsample"] else 0
    f["weights"], f["bias"] = image.size, -(-(image.size + weights.size) // 64) * 64
    gap = np.zeros(f["bias"] - image.size - weights.size, np.int8)
    got = run_kernel(
        f"config_ex(WS, NOACT, {f['stride'] >> f['downsample']}, 0, 0);"
        f" config_st_ext({f['co']}, RELU, 0.125f);" + CONV.format(**f),
        image,
        weights,
        gap,
        bias,
    )
    assert np.array_equal(written(got, expected.shape), expected)
    assert len(np.unique(expected)) > 15


# ---------------------------------------------------------------- what the hardware could not do


def matmul(**changes: object) -> str:
    loop = LOOP.format(**TILE | {"operands": "in, in, NULL, out"} | changes)
    return CONFIG.format(a=16, b=16, at=0, bt=0) + "config_st(16);" + loop


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (matmul(i=0), "limit_exceeded", "I = 0"),
        (matmul(pj=16), "limit_exceeded", "pad_J = 16"),
        (matmul(i=16, j=16, k=17), "limit_exceeded", "half of the scratchpad has 8192"),
        (matmul(i=6, j=6), "limit_exceeded", "half of the accumulator has 512"),
        (matmul(at=1, bt=1), "unsupported_command", "both A and B transposed"),
        (matmul() + "GA_(8, 0, 0);", "unset_configuration", "configuration 1 of 5"),
        (matmul().replace("16, 1);", "32, 1);"), "limit_exceeded", "block stride of 32"),
        ("config_ex(OS, NOACT, 1, 0, 0);" + matmul().split(";", 1)[1], "unsupported_command", "output-stationary"),
        ("config_ex(WS, NOACT, 1, 0, 0); GA_(15, 0, 0);", "unset_configuration", "loop_conv_ws without"),
    ],
)
def test_a_loop_that_the_hardware_cannot_run_is_refused(run_kernel: RunKernel, body: str, kind: str, said: str) -> None:
    fault = run_kernel(body).fault
    assert fault["kind"] == kind
    assert said in fault["message"]
