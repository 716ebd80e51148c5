"""Kernels that we wrote in NKI 1: right through the adapter on ragged shapes, and right against float64."""

from pathlib import Path

import anyio
import ml_dtypes
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, Profile
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.machines import ENGINES
from autocomp_mcp.hardware_adapters.trainium.screen import screen
from nki_job import run_kernel

DATA = Path(__file__).parents[2] / "data" / "trainium"
ADAPTER = TrainiumAdapter(Home(Path("unused")))
KERNELS = {
    "trainium/gemm-130x520x200-bf16": "nki1_gemm",
    "trainium/gemm-128x512x256": "nki1_gemm",
    "trainium/rmsnorm-130x96": "nki1_rmsnorm",
    "trainium/layernorm-131x64": "nki1_layernorm",
    "trainium/mamba-130x40x3": "nki1_mamba",
    "trainium/cumsum-129x260": "nki1_cumsum",
    "trainium/conv1d-2x130x40x3": "nki1_conv1d",
}


def judged(problem_id: str, source: str, engine: str | None = None) -> Evaluation:
    async def run() -> Evaluation:
        return await ADAPTER.evaluate(ADAPTER.problem(problem_id), source, engine=engine)

    return anyio.run(run)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("problem_id", KERNELS)
def test_kernels_pass(problem_id: str, engine: str) -> None:
    evaluation = judged(problem_id, (DATA / f"{KERNELS[problem_id]}.py").read_text(), engine)
    assert evaluation.passed, evaluation.message
    assert evaluation.latency is not None and evaluation.latency.value > 0


def test_a_wrong_result_is_found() -> None:
    source = (DATA / "nki1_rmsnorm.py").read_text()
    assert judged("trainium/rmsnorm-130x96", source.replace("+ 1e-5", "+ 1.0")).verdict == "wrong_result"


def test_profiles_name_the_lines() -> None:
    problem = ADAPTER.problem("trainium/rmsnorm-256x512")
    source = (DATA / "nki1_rmsnorm.py").read_text()

    async def run() -> Profile | Evaluation:
        return await ADAPTER.profile(problem, source, engine="nkisim-trn1")

    profile = anyio.run(run)
    assert isinstance(profile, Profile)
    assert any("activation_reduce" in line.text for line in profile.lines)
    assert {"dma_copy", "activation", "tensor_scalar"} <= set(profile.commands)
    assert profile.traffic[0].reloads == 1


@pytest.mark.parametrize("first", ["import nki\n", "from nki import language\n"])
def test_both_generations_in_one_kernel_are_refused(first: str) -> None:
    screened = screen(first + (DATA / "nki1_gemm.py").read_text())
    assert screened.refused is not None and "not both" in screened.refused


HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np
"""
ATTENTION = (
    HEAD
    + """\
@nki.jit
def attention(q_t, k_t, v):
    depth, queries = q_t.shape
    _, keys = k_t.shape
    out = nl.ndarray((queries, depth), dtype=nl.float32, buffer=nl.shared_hbm)
    q_all, k_all = nl.load(q_t), nl.load(k_t)
    v_all = nl.ndarray((keys // 128, nl.par_dim(128), depth), dtype=nl.bfloat16)
    for block in nl.affine_range(keys // 128):
        v_all[block] = nl.load(v[nl.ds(block * 128, 128), :])
    for tile in nl.affine_range(queries // 128):
        scores = nl.ndarray((nl.par_dim(128), keys), dtype=nl.float32)
        for block in nl.affine_range(keys // 256):
            i_q, i_k = nl.mgrid[0:128, 0:256]
            part = nisa.nc_matmul(stationary=q_all[:, nl.ds(tile * 128, 128)], moving=k_all[:, nl.ds(block * 256, 256)])
            scores[i_q, block * 256 + i_k] = nisa.affine_select(
                pred=tile * 128 + i_q >= block * 256 + i_k, on_true_tile=part, on_false_value=-1e4
            )
        low = nisa.tensor_reduce(np.max, scores, axis=[1], negate=True)
        weights = nisa.activation(np.exp, scores, bias=low, dtype=nl.bfloat16)
        total = nl.sum(weights, axis=[1], dtype=nl.float32)
        result = nl.zeros((128, depth), dtype=nl.float32, buffer=nl.psum)
        for block in nl.affine_range(keys // 128):
            turned = nl.ndarray((nl.par_dim(128), 128), dtype=nl.bfloat16)
            turned[...] = nisa.nc_transpose(weights[:, nl.ds(block * 128, 128)])
            result += nl.matmul(turned, v_all[block], transpose_x=True)
        nl.store(out[nl.ds(tile * 128, 128), :], value=result / total)
    return out
"""
)


def test_causal_attention() -> None:
    rng = np.random.default_rng(3)
    q, k = (rng.standard_normal((64, 512)).astype(ml_dtypes.bfloat16) for _ in range(2))
    v = rng.standard_normal((512, 64)).astype(ml_dtypes.bfloat16)
    report, found = run_kernel(ATTENTION, {"q_t": q, "k_t": k, "v": v}, [("out", (512, 64), "float32")], "trn1")
    assert report["faults"] == [None]
    scores = np.where(np.tri(512, dtype=bool), q.astype(np.float64).T @ k.astype(np.float64), -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = weights / weights.sum(axis=1, keepdims=True) @ v.astype(np.float64)
    np.testing.assert_allclose(found["out"], expected, atol=2e-2)


TRANSPOSE = (
    HEAD
    + """\
@nki.jit
def transpose(x):
    rows, columns = x.shape
    out = nl.ndarray((columns, rows), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in nl.affine_range((rows + 127) // 128):
        for c in nl.affine_range((columns + 127) // 128):
            i, j = nl.arange(128)[:, None], nl.arange(128)[None, :]
            inside = (r * 128 + i < rows) & (c * 128 + j < columns)
            tile = nl.load(x[r * 128 + i, c * 128 + j], mask=inside)
            turned = nl.ndarray((nl.par_dim(128), 128), dtype=x.dtype)
            turned[i, j] = nisa.nc_transpose(tile[i, j], mask=inside)
            turned_inside = (c * 128 + i < columns) & (r * 128 + j < rows)
            nl.store(out[c * 128 + i, r * 128 + j], value=turned[i, j], mask=turned_inside)
    return out
"""
)


def test_transpose_of_a_ragged_matrix() -> None:
    x = np.random.default_rng(4).standard_normal((200, 333)).astype(np.float32)
    report, found = run_kernel(TRANSPOSE, {"x": x}, [("out", (333, 200), "float32")], "trn1")
    assert report["faults"] == [None]
    np.testing.assert_array_equal(found["out"], x.T)
