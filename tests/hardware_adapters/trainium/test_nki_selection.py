# ruff: noqa: E501 - tables of one kernel per line
"""Predicates, ranges, searches, statistics and running reductions, against NumPy."""

import numpy as np
import pytest
from nki_job import fault_of, kernel, run_kernel

RNG = np.random.default_rng(12)
X = RNG.permutation(128 * 512).reshape(128, 512).astype(np.float32) - 32768
D = X.astype(np.float64)
NEW = "r = nl.ndarray((128, 512), dtype=nl.float32)\n"
EIGHT = "m = nl.ndarray((128, 8), dtype=nl.float32)\nnisa.max8(dst=m, src=t)\n"
POSITIVE = (
    "f = nl.ndarray((128, 512), dtype=nl.uint8)\nnisa.tensor_scalar(dst=f, data=t, op0=nl.greater, operand0=0.0)\n"
)
BOUNDS = "a = nl.full((128, 1), 100.0, dtype=nl.float32)\nb = nl.full((128, 1), 200.0, dtype=nl.float32)\n"
LOWEST = float(np.finfo(np.float32).min)
LAST = np.sort(D, axis=1)[:, ::-1][:, :8]


def result(body: str, shape: tuple[int, ...] = (128, 512), machine: str = "trn2") -> np.ndarray:
    head = f"out = nl.ndarray({shape}, dtype=nl.float32, buffer=nl.shared_hbm)\n"
    head += "t = nl.ndarray((128, 512), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x)\n"
    end = "\nnisa.dma_copy(dst=out, src=r)\nreturn out"
    report, found = run_kernel(kernel(head + body + end), {"x": X}, [("out", shape, "float32")], machine)
    assert report["faults"] == [None], report["faults"]
    return found["out"]


def gone(values: np.ndarray) -> np.ndarray:
    kept = values.copy()
    kept[np.isin(values, LAST)] = -1.0
    return kept


CASES: dict[str, tuple[str, np.ndarray]] = {
    "copied by predicate": (
        POSITIVE + NEW + "nisa.memset(dst=r, value=5.0)\nnisa.tensor_copy_predicated(dst=r, src=t, predicate=f)", np.where(D > 0, D, 5),
    ),
    "copied against predicate": (
        POSITIVE + NEW + "nisa.tensor_copy(dst=r, src=t)\nnisa.tensor_copy_predicated(dst=r, src=2.0, predicate=f, reverse_pred=True)",
        np.where(D > 0, D, 2),
    ),
    "selected": (POSITIVE + NEW + "nisa.select_reduce(dst=r, predicate=f, on_true=t, on_false=t[:, 0:1])", np.where(D > 0, D, D[:, :1])),
    "selected with its maximum": (
        POSITIVE + NEW + "r1 = nl.ndarray((128, 1), dtype=nl.float32)\n"
        "nisa.select_reduce(dst=r, predicate=f, on_true=t, on_false=-1.0, reverse_pred=True, reduce_res=r1, reduce_cmd=nisa.reduce_cmd.reset_reduce, reduce_op=nl.maximum)\nr = r1",
        np.where(D > 0, -1.0, D).max(1, keepdims=True),
    ),
    "maxima over two selections": (
        POSITIVE + NEW + "r1 = nl.ndarray((128, 1), dtype=nl.float32)\n"
        "nisa.select_reduce(dst=r[:, 0:256], predicate=f[:, 0:256], on_true=t[:, 0:256], on_false=0.0, reduce_cmd=nisa.reduce_cmd.reset_reduce)\n"
        "nisa.select_reduce(dst=r[:, 256:512], predicate=f[:, 256:512], on_true=t[:, 256:512], on_false=0.0, reduce_res=r1, reduce_cmd=nisa.reduce_cmd.reduce)\nr = r1",
        D.max(1, keepdims=True),
    ),
    "a range selected": (
        BOUNDS + NEW + "nisa.range_select(dst=r, on_true_tile=t, comp_op0=nl.greater_equal, comp_op1=nl.less, bound0=a, bound1=b, range_start=50)",
        np.where((np.arange(512) >= 50) & (np.arange(512) < 150), D, LOWEST),
    ),
    "the maximum of a range": (
        BOUNDS + NEW + "r1 = nl.ndarray((128, 1), dtype=nl.float32)\n"
        "nisa.range_select(dst=r, on_true_tile=t, comp_op0=nl.greater_equal, comp_op1=nl.less, bound0=a, bound1=b, reduce_res=r1)\nr = r1",
        D[:, 100:200].max(1, keepdims=True),
    ),
    "the eight largest": (EIGHT + "r = m", LAST),
    "where they are": (
        EIGHT + "i = nl.ndarray((128, 8), dtype=nl.uint32)\nnisa.nc_find_index8(dst=i, data=t, vals=m)\n"
        "r = nl.ndarray((128, 8), dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=i)",
        np.argsort(-D, axis=1)[:, :8].astype(float),
    ),
    "replaced": (EIGHT + NEW + "nisa.nc_match_replace8(dst=r, data=t, vals=m, imm=-1.0)", gone(D)),
    "nonzero positions": (
        POSITIVE + "z = nl.ndarray((128, 512), dtype=nl.int32)\nnisa.tensor_copy(dst=z, src=f)\ni = nl.ndarray((128, 513), dtype=nl.int32)\n"
        "nisa.memset(dst=i, value=0)\nnisa.nonzero_with_count(dst=i, src=z, index_offset=1000)\n"
        "r = nl.ndarray((1, 513), dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=i[16:17, :])",
        np.array([[*(np.flatnonzero(D[16] > 0) + 1000), *[-1] * int((D[16] <= 0).sum()), (D[16] > 0).sum()]], float),
    ),
    "mean and variance": (
        "s = nl.ndarray((128, 2, 6), dtype=nl.float32)\nfor j in range(2):\n    nisa.bn_stats(dst=s[:, j, :], data=t[:, j * 256:(j + 1) * 256])\n"
        "r = nl.ndarray((128, 2), dtype=nl.float32)\nnisa.bn_aggr(dst=r, data=s)",
        np.stack([D.mean(1), D.var(1)], axis=1),
    ),
    "what bn_stats writes": (
        "r = nl.ndarray((128, 6), dtype=nl.float32)\nnisa.bn_stats(dst=r, data=t[:, 0:5])",
        np.stack([np.full(128, 3.0), D[:, 0:5:2].mean(1), D[:, 0:5:2].var(1) * 3, np.full(128, 2.0), D[:, 1:5:2].mean(1), D[:, 1:5:2].var(1) * 2], axis=1),
    ),
    "a running maximum": (
        NEW + "nisa.tensor_scalar_cumulative(dst=r, src=t, op0=nl.multiply, op1=nl.maximum, imm0=-1.0)", np.maximum.accumulate(-D, axis=1),
    ),
    "a running sum that goes on": (
        NEW + "nisa.tensor_scalar_cumulative(dst=r[:, 0:256], src=t[:, 0:256], op0=nl.add, op1=nl.add, imm0=1.0, imm1=10.0, reduce_cmd=nisa.reduce_cmd.load_reduce)\n"
        "nisa.tensor_scalar_cumulative(dst=r[:, 256:512], src=t[:, 256:512], op0=nl.add, op1=nl.add, imm0=1.0, reduce_cmd=nisa.reduce_cmd.reduce)",
        10 + np.cumsum(D + 1, axis=1),
    ),
    "an operator without operand": (
        NEW + "nisa.tensor_scalar(dst=r, data=t, op0=nl.multiply, operand0=t[:, 0:1], op1=nl.abs, operand1=0.0)", np.abs(D * D[:, :1]),
    ),
    "bits reduced": (
        "i = nl.ndarray((128, 512), dtype=nl.int32)\nnisa.iota(dst=i, pattern=[[1, 512]], offset=0)\ns = nl.ndarray((128, 1), dtype=nl.int32)\n"
        "nisa.tensor_reduce(dst=s, op=nl.bitwise_or, data=i[:, 3:6], axis=1)\nr = nl.ndarray((128, 1), dtype=nl.float32)\nnisa.tensor_copy(dst=r, src=s)",
        np.full((128, 1), 3 | 4 | 5, float),
    ),
    "a row's sum": ("r = nl.sum(t, axis=1, keepdims=True)", D.sum(1, keepdims=True)),
    "the maximum of two dimensions": ("r = nl.max(t.reshape((128, 4, 8, 16)), axis=[2, 3])", D.reshape(128, 4, 128).max(2)),
    "the mean": ("r = nl.mean(t, -1, keepdims=True)", D.mean(1, keepdims=True)),
    "one or the other": ("r = nl.where(nl.greater(t, 0.0), t, -1.0)", np.where(D > 0, D, -1)),
    "the same shape": ("r = nl.add(nl.zeros_like(t), nl.min(t, axis=1, keepdims=True))", np.broadcast_to(D.min(1, keepdims=True), D.shape)),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES)
def test_selections_and_statistics_are_those_of_numpy(body: str, expected: np.ndarray) -> None:
    assert np.allclose(result(body, expected.shape), expected, rtol=2e-5, atol=1e-2)


@pytest.mark.parametrize(
    "name", ["gelu", "erf", "mish", "arctan", "gelu_dx", "silu_dx", "erf_dx", "gelu_apprx_sigmoid_dx"]
)
def test_activations_and_their_derivatives(name: str) -> None:
    """A derivative is the slope of its function."""

    def of(function: str, shift: float = 0.0) -> np.ndarray:
        return result(NEW + f"nisa.activation(dst=r, op=nl.{function}, data=t, scale=1e-4, bias={shift})").astype(
            np.float64
        )

    if name.endswith("_dx"):
        h = 2.0**-6
        slope = (of(name[:-3], h) - of(name[:-3], -h)) / (2 * h)
        assert np.allclose(of(name), slope, atol=1e-3)
        return
    import math

    z = D * 1e-4
    erf = np.vectorize(math.erf)
    right = {
        "gelu": z * (1 + erf(z / np.sqrt(2))) / 2,
        "erf": erf(z),
        "mish": z * np.tanh(np.log1p(np.exp(z))),
        "arctan": np.arctan(z),
    }
    assert np.allclose(of(name), right[name], rtol=1e-5, atol=1e-6)


def test_the_exponential_of_the_vector_engine_needs_the_fourth_generation() -> None:
    body = NEW + "s = nl.ndarray((128, 1), dtype=nl.float32)\n"
    body += "nisa.exponential(dst=r, src=t, max_value=t[:, 0:1], reduce_res=s, reduce_cmd=nisa.reduce_cmd.reset_reduce)"
    fault = fault_of("t = nl.zeros((128, 512), dtype=nl.float32)\n" + body)
    assert fault["kind"] == "wrong_argument" and "NeuronCore-v4" in fault["message"]


def test_the_exponential_of_the_vector_engine_sums_on_the_fourth() -> None:
    body = (
        NEW
        + "s = nl.ndarray((128, 1), dtype=nl.float32)\nnisa.tensor_scalar(dst=t, data=t, op0=nl.multiply, operand0=1e-4)\n"
    )
    body += "nisa.exponential(dst=r[:, 0:256], src=t[:, 0:256], max_value=t[:, 0:1], reduce_cmd=nisa.reduce_cmd.reset_reduce)\n"
    body += "nisa.exponential(dst=r[:, 256:512], src=t[:, 256:512], max_value=t[:, 0:1], reduce_res=s, reduce_cmd=nisa.reduce_cmd.reduce)\n"
    body += "nisa.tensor_scalar(dst=r, data=r, op0=nl.divide, operand0=s)"
    e = np.exp((D - D[:, :1]) * 1e-4)
    assert np.allclose(result(body, machine="trn3"), e / e.sum(1, keepdims=True), rtol=1e-4)


WRONG = [
    ("nisa.max8(dst=m, src=t[:, 0:7])", "tile_limit", "8 to 16384"),
    ("nisa.nc_find_index8(dst=i, data=t, vals=z)", "undefined", "not in partition"),
    ("nisa.bn_stats(dst=m, data=w)", "tile_limit", "at most 512"),
    ("nisa.bn_aggr(dst=m, data=t)", "shape_mismatch", "multiple of 3"),
    ("nisa.tensor_copy_predicated(dst=t, src=t, predicate=t)", "wrong_dtype", "uint8"),
    ("nisa.range_select(dst=t, on_true_tile=t, comp_op0=nl.add, comp_op1=nl.less, bound0=m, bound1=m)", "wrong_argument", "must compare"),
    ("nisa.select_reduce(dst=t, predicate=f, on_true=t, on_false=0.0, reduce_res=m)", "wrong_argument", "reduce_cmd"),
    ("nisa.tensor_scalar_cumulative(dst=t, src=t, op0=nl.add, op1=nl.add, imm0=1.0, reduce_cmd='reduce')", "uninitialised_read", "accumulated"),
    ("nisa.tensor_scalar(dst=t, data=t, op0=nl.rsqrt, operand0=2.0)", "wrong_argument", "operand 0.0"),
    ("nisa.rng(dst=i)", "unsupported", "unsupported API: nki.isa.rng"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "says"), WRONG, ids=[w[0][:50] for w in WRONG])
def test_what_these_instructions_cannot_do_is_refused(wrong: str, kind: str, says: str) -> None:
    body = (
        "t = nl.ndarray((128, 512), dtype=nl.float32)\nnisa.dma_copy(dst=t, src=x)\nw = nl.zeros((128, 513), dtype=nl.float32)\n"
        "m = nl.ndarray((128, 8), dtype=nl.float32)\nz = nl.full((128, 8), 1e30, dtype=nl.float32)\n"
        "i = nl.ndarray((128, 8), dtype=nl.uint32)\nf = nl.zeros((128, 512), dtype=nl.uint8)\n"
    )
    fault = fault_of(body + wrong)
    assert fault["kind"] == kind and says in fault["message"], fault
