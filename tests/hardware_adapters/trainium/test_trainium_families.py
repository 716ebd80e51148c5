# ruff: noqa: E501 - a table of one wrong kernel per line
"""References against formulations of their own, and wrong kernels that each problem's inputs have to tell apart."""

import math
from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, UnknownProblemError
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.families import operator_of

ADAPTER = TrainiumAdapter(Home(Path("unused")))
Arrays = dict[str, np.ndarray]


def judged(problem_id: str, source: str) -> Evaluation:
    return anyio.run(lambda: ADAPTER.evaluate(ADAPTER.problem(problem_id), source))


def softmax_sums(scores: list[float], rows: np.ndarray) -> tuple[list[float], float]:
    """Sums of rows weighted by exp(score), and the sum of weights, unshifted: small scores only."""
    weights = [math.exp(score) for score in scores]
    columns = [math.fsum(w * row[c] for w, row in zip(weights, rows, strict=True)) for c in range(rows.shape[1])]
    return columns, math.fsum(weights)


def attention(x: Arrays, scale: float) -> Arrays:
    """Rows are positions."""
    out = []
    for query in x["q"]:
        sums, total = softmax_sums([scale * math.fsum(query * key) for key in x["k"]], x["v"])
        out.append([value / total for value in sums])
    return {"out": np.array(out)}


def causal(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    o, level, m = [], [], []
    for i, query in enumerate(q):
        scores = [math.fsum(query * k[:, j]) for j in range(i + 1)]
        m.append([max(scores)])
        sums, total = softmax_sums([score - max(scores) for score in scores], v[: i + 1])
        o.append(sums)
        level.append([math.log(total) + max(scores)])
    return np.array(o), np.array(level), np.array(m)


def windows_2d(x: Arrays) -> Arrays:
    images, weights = x["x"], x["weights"]
    n, _, h, w = images.shape
    k, o = weights.shape[1], weights.shape[3]
    out = np.zeros((n, o, h, w))
    for (image, filt, row, column), _ in np.ndenumerate(out):
        for i in range(k):
            for j in range(k):
                down, right = row + i - 1, column + j - 1
                if 0 <= down < h and 0 <= right < w:
                    out[image, filt, row, column] += images[image, :, down, right] @ weights[:, i, j, filt]
    return {"out": out}


def rope(x: Arrays) -> Arrays:
    half = len(x["cos"])
    turned = (x["x"][:half] + 1j * x["x"][half:]) * (x["cos"] + 1j * x["sin"])
    return {"out": np.concatenate((turned.real, turned.imag))}


def one_tile(x: Arrays) -> Arrays:
    """Queries 128..255 of 512 positions, by the rule for parts of a softmax: sums of shifted exponentials add up."""
    rows = []
    d = len(x["q"])
    for r in range(128):
        o, total, top = x["olm_prev"][r, :d], x["olm_prev"][r, d], x["olm_prev"][r, d + 1]
        scores = [float(x["q"][:, 128 + r] @ x["k"][:, j]) for j in range(129 + r)]
        highest = max([top, *scores])
        keys = np.array([x["v"][j % 128, j // 128] for j in range(129 + r)])
        sums, added = softmax_sums([score - highest for score in scores], keys)
        kept = math.exp(top - highest)
        rows.append([*(o * kept + np.array(sums)), total * kept + added, highest])
    return {"olm": np.array(rows)}


def scan(x: Arrays) -> np.ndarray:
    """Unrolled: every output is a sum over all earlier inputs, each decayed by the steps between."""
    channels, steps = x["delta"].shape
    out = np.zeros((channels, steps))
    for i in range(channels):
        for t in range(steps):
            for s in range(t + 1):
                decay = np.exp(x["delta"][i, s + 1 : t + 1].sum() * x["a"][i])
                out[i, t] += x["delta"][i, s] * x["u"][i, s] * float((decay * x["b"][:, s] * x["c"][:, t]).sum())
    return out


def columns(x: Arrays) -> Arrays:
    return {name: values.T for name, values in x.items()}


FORMULATIONS = {
    "attention-40x16": lambda x: attention(columns(x), 1.0),
    "sdattention-40x16": lambda x: attention(x, 0.25),
    "csa-30x16": lambda x: dict(zip("olm", causal(x["q"], x["k"], x["v"]), strict=True)),
    "mha-2x20x8": lambda x: dict(
        zip("olm", map(np.stack, zip(*map(causal, x["q"], x["k"], x["v"]), strict=True)), strict=True)
    ),
    "csatile-512x16-q1": one_tile,
    "transpose-2x5x7": lambda x: {"out": np.stack([matrix.T for matrix in x["x"]])},
    "transpose2d-3x4x5": lambda x: {"out": np.stack([row.reshape(4, 5).ravel(order="F") for row in x["x"]])},
    "maxpool-9x8-k3": lambda x: {
        "out": np.array([[x["x"][h : h + 3, w : w + 3].max() for w in range(6)] for h in range(7)])
    },
    "rope-12x30": rope,
    "rmsnorm1d-6x20": lambda x: {"out": np.array([r / np.sqrt(np.dot(r, r) / 20 + 1e-5) * x["gain"] for r in x["x"]])},
    "layernorm1d-6x20": lambda x: {
        "out": np.array([(r - r.mean()) / np.sqrt(r.var() + 1e-5) * x["gamma_vector"] + x["beta_vector"] for r in x["input_tensor"]])
    },
    "ssm-2x3x9x4": lambda x: {"out": np.stack([scan({**x, **{n: x[n][i] for n in "bc"}, "delta": x["delta"][i], "u": x["u"][i]}) for i in (0, 1)])},
    "ssm-1x3x9x4-spread": lambda x: {"out": scan({**x, "b": x["b"][0, ::128], "c": x["c"][0, 127::128], "delta": x["delta"][0], "u": x["u"][0]})[None]},
    "conv2d-2x3x4x5x6-k3-p1": windows_2d,
    "conv1d-2x3x9x3-same": lambda x: {
        "out": np.array(
            [[[np.convolve(row[0], taps[0, 0, ::-1], "same")] for row, taps in zip(image, x["weights"], strict=True)]
             for image in x["x"]]
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("size", FORMULATIONS)
def test_references_agree_with_another_formulation(size: str) -> None:
    operator = operator_of(f"trainium/{size}")
    normal = operator.sets(np.random.default_rng(5))[0].inputs
    other = FORMULATIONS[size]({name: values.astype(np.float64) for name, values in normal.items()})
    for name, right in operator.expected(normal).items():
        np.testing.assert_allclose(right, other[name], rtol=1e-9, atol=1e-9)


# problem, what is wrong, text of the baseline, text instead
WRONG = [
    ("attention-256x64-bf16", "maximum not subtracted", "operand0=highest", "operand0=0.0"),
    ("attention-256x64-bf16", "not divided by the sum", "op0=nl.multiply, operand0=inverse", "op0=nl.multiply, operand0=1.0"),
    ("attention-256x64-bf16", "last keys left out of the sums", "for start, height in blocks:\n            share", "for start, height in blocks[:-1]:\n            share"),
    ("attention-200x64", "last rows not written", "blocks = [(first, min(128, S - first)) for first in range(0, S, 128)]\n\n", "blocks = [(first, 128) for first in range(0, S - 127, 128)]\n\n"),
    ("sdattention-256x64", "scale forgotten", "D ** -0.5", "1.0"),
    ("sdattention-256x64", "scale applied twice", "D ** -0.5", "1 / D"),
    ("sdattention-256x64", "maximum not subtracted", "operand0=-1.0", "operand0=0.0"),
    ("sdattention-256x64", "sum of other keys", "data=raised, axis=1", "data=raised[:, 0:S - 128], axis=1"),
    ("sdattention-256x64", "all keys alike", "op=nl.exp, data=scores, bias=down", "op=nl.exp, data=scores, scale=0.0"),
    ("csa-256x32", "mask ignored", "data1=shown, data2=hidden, op=nl.add", "data1=shown, data2=products, op=nl.maximum"),
    ("csa-256x32", "own position masked too", "causal_mask[block, start:start + width])", "causal_mask[max(0, first - 1):max(0, first - 1) + rows, start:start + width])"),
    ("csa-256x32", "o divided by the sum", "nisa.tensor_copy(dst=result, src=sums)", "nisa.reciprocal(dst=total, data=total)\n        nisa.tensor_scalar(dst=result, data=sums, op0=nl.multiply, operand0=total)"),
    ("csa-256x32", "l without the maximum", "data1=level, data2=top, op=nl.add", "data1=level, data2=level, op=nl.maximum"),
    ("mha-2x128x16", "every head reads the first", "attend(q[h], k[h], v[h],", "attend(q[0], k[0], v[0],"),
    ("mha-2x128x16", "v of the first head", "attend(q[h], k[h], v[h],", "attend(q[h], k[h], v[0],"),
    ("csatile-512x32-q2", "queries of another tile", "q_tile_idx * rows:(q_tile_idx + 1) * rows", "0:rows"),
    ("csatile-512x32-q2", "mask ignored", "data1=shown, data2=hidden, op=nl.add", "data1=shown, data2=products, op=nl.maximum"),
    ("csatile-512x32-q2", "earlier part not scaled down", "op=nl.exp, data=kept", "op=nl.exp, data=kept, scale=0.0"),
    ("csatile-512x32-q2", "earlier maximum forgotten", "data1=top, data2=before[:, D + 1:D + 2], op=nl.maximum", "data1=top, data2=top, op=nl.maximum"),
    ("transpose-2x128x128", "copied, not transposed", "src=flipped)\n", "src=tile)\n"),
    ("transpose-2x128x128", "one matrix for all", "src=x[a, b:b", "src=x[0, b:b"),
    ("transpose2d-128x6x6", "copied, not transposed", "result[:, j * F1 + i:j * F1 + i + 1]", "result[:, i * F2 + j:i * F2 + j + 1]"),
    ("maxpool-130x140-k3", "zero is the least", "nisa.dma_copy(dst=highest, src=x[h:h + rows, w:w + width])", "nisa.memset(dst=highest, value=0.0)"),
    ("maxpool-130x140-k3", "a smaller window", "for right in range(pool_size)", "for right in range(pool_size - 1)"),
    ("maxpool-130x140-k3", "minimum", "op=nl.maximum", "op=nl.minimum"),
    ("rope-64x100", "turned the other way", "data2=product(high, s), op=nl.subtract", "data2=product(high, s), op=nl.add"),
    ("rope-64x100", "only the upper half turned", "if upper:", "if True:"),
    ("conv2d-1x16x6x6x16-k3-p1", "taps mirrored", "src=weights[c:c + channels, kh, kw,", "src=weights[c:c + channels, KH - 1 - kh, kw,"),
    ("conv2d-1x16x6x6x16-k3-p1", "padding shifts the image", "r + kh - top, inside", "min(H - 1, r + kh), inside"),
    ("conv2d-1x16x6x6x16-k3-p1", "a tap left out", "for kw in range(KW) if", "for kw in range(KW - 1) if"),
    ("conv2d-1x16x6x6x16-k3-p1", "bfloat16 products", "row = nl.zeros((channels, columns), dtype=nl.float32", "row = nl.zeros((channels, columns), dtype=nl.bfloat16"),
    ("rmsnorm1d-64x96", "one gain for all", "reshape((1, C)).broadcast(0, rows)", "reshape((1, C))[0:1, 0:1].broadcast_to((1, C)).broadcast(0, rows)"),
    ("layernorm1d-64x96", "mean not subtracted", "op0=nl.subtract, operand0=mean", "op0=nl.subtract, operand0=0.0"),
    ("ssm-2x64x40x3", "one of the batch for all", "b[batch, row", "b[0, row"),
    ("ssm-2x64x40x3", "no state carried", "op0=nl.multiply, op1=nl.add\n", "op0=nl.multiply, op1=nl.maximum\n"),
    ("conv1d-1x64x30x3-same", "padding at one end", "dst=row[:, left:left + W]", "dst=row[:, 0:W]"),
    ("conv1d-1x64x30x3-same", "a tap left out", "data=products, axis=1", "data=products[:, 0:F - 1], axis=1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "old", "new"), [(w[0], *w[2:]) for w in WRONG], ids=[f"{w[0]}: {w[1]}" for w in WRONG]
)
def test_wrong_kernels_do_not_pass(size: str, old: str, new: str) -> None:
    problem_id = f"trainium/{size}"
    right = operator_of(problem_id).baseline()
    assert old in right
    wrong = right.replace(old, new)
    if "bfloat16" in new:  # both operands of a product have one type
        wrong = wrong.replace(
            "weight = nl.ndarray((channels, filters), dtype=nl.float32",
            "weight = nl.ndarray((channels, filters), dtype=nl.bfloat16",
        )
    evaluation = judged(problem_id, wrong)
    assert evaluation.verdict == "wrong_result", evaluation.message


TRANSPOSE = "trainium/transpose-1x64x32"
SIGNATURE = "def solution(x, dim=1):"


@pytest.mark.parametrize(
    "signature", ["def solution(x):", "def solution(anything, dim):\n    x = anything\n    assert dim == 1", "def solution(x, **more):\n    assert more['dim'] == 1"],
    ids=["without it", "inputs by order", "any others"],
)  # fmt: skip
def test_constants_are_passed_to_kernels_that_name_them(signature: str) -> None:
    source = operator_of(TRANSPOSE).baseline()
    assert SIGNATURE in source
    evaluation = judged(TRANSPOSE, source.replace(SIGNATURE, signature))
    assert evaluation.passed, evaluation.message


def test_constants_keep_their_types() -> None:
    head = "import nki\nimport nki.language as nl\n@nki.jit\n"
    body = """def solution(x, weights, padding, stride, in_perm):
    assert padding == ((1, 1), (1, 1)) and stride == (1, 1) and in_perm == [0, 1, 2, 3]
    return x"""
    assert judged("trainium/conv2d-1x3x4x4x3-k3-p1", head + body).message.startswith("wrong return")
    body = "def solution(q, k, v, causal_mask, kernel_dtype):\n    assert kernel_dtype is nl.bfloat16\n    return q"
    assert judged("trainium/csa-16x8", head + body).message.startswith("wrong return")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("attention-16384x128", "S is at most"), ("attention-128x129", "at most 128"), ("csatile-500x64-q0", "multiple"),
        ("csatile-512x64-q4", "I below"), ("maxpool-4x4-k5", "K"), ("conv2d-1x1x4x4x1-k3-p3", "less than K"),
        ("rope-7x4", "even"), ("transpose2d-1x1000x1000", "at most"), ("conv2d-1x1x4x4x1", "-kK is missing"),
    ],
)  # fmt: skip
def test_problems_that_cannot_be(wrong: str, says: str) -> None:
    with pytest.raises(UnknownProblemError, match=says):
        ADAPTER.problem(f"trainium/{wrong}")
