"""TinyMPC's passes: reference results, tolerance, kernels on the 4x4 float32 array, mistakes explained."""

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, UnknownProblemError
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.families import operator_of
from autocomp_mcp.hardware_adapters.gemmini.inputs import input_sets, unproven
from autocomp_mcp.hardware_adapters.gemmini.operators import describe
from autocomp_mcp.hardware_adapters.gemmini.tinympc import TinyMpc
from autocomp_mcp.hardware_adapters.simulating import generator
from autocomp_mcp.hardware_adapters.store import Home
from hypothesis import given, settings
from hypothesis import strategies as st

FORWARD, BACKWARD = "gemmini/tinympc-forward-12x4x5", "gemmini/tinympc-backward-12x4x9"
PASSES = st.builds(
    TinyMpc, st.sampled_from(["forward", "backward"]), st.integers(1, 9), st.integers(1, 6), st.integers(1, 6)
)


def judged(gemmini: GemminiAdapter, problem_id: str, source: str) -> Evaluation:
    return anyio.run(lambda: gemmini.evaluate(gemmini.problem(problem_id), source))


def by_definition(problem: TinyMpc, inputs: dict[str, np.ndarray]) -> dict[str, list[list[float]]]:
    """The formulas of the documentation, entry by entry."""
    n, m = range(problem.states), range(problem.controls)
    i = {name: data.tolist() for name, data in inputs.items()}
    if problem.direction == "forward":
        x, us, xs = i["x0"], [], []
        for t in range(problem.steps):
            u = [-sum(i["K"][a][b] * x[b] for b in n) - i["d"][t][a] for a in m]
            x = [sum(i["A"][a][b] * x[b] for b in n) + sum(i["B"][a][b] * u[b] for b in m) for a in n]
            us, xs = [*us, u], [*xs, x]
        return {"u": us, "x": xs}
    p, ds, ps = i["q"][problem.steps], [], []
    for t in reversed(range(problem.steps)):
        grad = [sum(i["B"][b][a] * p[b] for b in n) + i["r"][t][a] for a in m]
        ds = [[sum(i["Quu_inv"][a][b] * grad[b] for b in m) for a in m], *ds]
        p = [
            i["q"][t][a] + sum(i["AmBKt"][a][b] * p[b] for b in n) - sum(i["K"][b][a] * i["r"][t][b] for b in m)
            for a in n
        ]
        ps = [p, *ps]
    return {"d": ds, "p": ps}


@given(PASSES, st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_reference_is_the_formula_and_every_problem_proves_itself(problem: TinyMpc, seed: int) -> None:
    sets = input_sets(problem, generator("p", "k", seed))
    assert unproven(problem, sets) is None
    for chosen in sets:
        right = by_definition(problem, chosen.inputs)
        for name, data in problem.expected(chosen.inputs).items():
            assert data.dtype == np.float32
            assert np.allclose(data, right[name], rtol=1e-5, atol=1e-5 * np.abs(data).max())


@given(PASSES, st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_float32_in_another_order_stays_far_inside_the_tolerance(problem: TinyMpc, seed: int) -> None:
    run = __import__(TinyMpc.__module__, fromlist=["forward"])
    for chosen in input_sets(problem, generator("p", "k", seed)):
        single = getattr(run, problem.direction)(chosen.inputs)
        for name, right in problem.expected(chosen.inputs).items():
            assert np.abs(single[name] - right).max() <= problem.closeness / 10 * np.abs(right).max()


@given(PASSES)
def test_one_problem_has_one_id(problem: TinyMpc) -> None:
    assert TinyMpc.of(problem.id) == problem
    described = describe(problem)
    assert len(described.tensors) <= 8, "what registers hold"
    assert described.bound.value * 16 == described.work.macs


def test_a_problem_says_everything() -> None:
    problem = describe(TinyMpc.of(BACKWARD))
    assert problem.signature == (
        "void solution(const float *B, const float *Quu_inv, const float *K, const float *AmBKt, const float *q, "
        "const float *r, float *d, float *p)"
    )
    assert problem.work.macs == 9 * (12 * 4 + 4 * 4 + 4 * 12 + 12 * 12)
    assert "1e-04" in problem.tolerance or "0.0001" in problem.tolerance
    assert any("DIM is 4" in rule for rule in problem.rules)
    assert any("element of d and p" in rule for rule in problem.rules)
    assert len(problem.model_dump_json()) < 8192


@pytest.mark.parametrize(
    ("problem_id", "reason"),
    [
        ("gemmini/tinympc-12x4x9", "did you mean 'gemmini/tinympc-forward-12x4x9'?"),
        ("gemmini/tinympc-foward-12x4x9", "did you mean 'gemmini/tinympc-forward-12x4x9'?"),
        ("gemmini/tinympc-backwards-12x4", "did you mean 'gemmini/tinympc-backward-12x4x4'?"),
        ("gemmini/tinympc-forward-65x4x9", "X = 65"),
        ("gemmini/tinympc-forward-12x0x9", "U = 0"),
    ],
)
def test_what_is_no_problem_is_refused_with_the_nearest(problem_id: str, reason: str) -> None:
    with pytest.raises(UnknownProblemError) as caught:
        operator_of(problem_id)
    assert reason in str(caught.value)


@pytest.mark.parametrize("sizes", ["12x4x9", "1x1x1", "7x3x4", "9x5x3"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_baseline_passes_and_says_that_its_cycles_are_uncalibrated(
    gemmini: GemminiAdapter, direction: str, sizes: str
) -> None:
    problem = gemmini.problem(f"gemmini/tinympc-{direction}-{sizes}")
    result = judged(gemmini, problem.id, gemmini.baseline(problem))
    assert result.passed, result.message
    assert "uncalibrated" in result.message
    assert result.latency is not None
    assert result.latency.error_percent is None
    assert result.counters["commands"]
    assert gemmini.reference_kernel(problem) is None


def test_a_calibrated_configuration_says_its_error_instead(gemmini: GemminiAdapter) -> None:
    problem = gemmini.problem("gemmini/gemm-16x16x16")
    result = judged(gemmini, problem.id, gemmini.baseline(problem))
    assert "uncalibrated" not in result.message
    assert result.latency is not None
    assert result.latency.error_percent is not None


def no_number(bits: int) -> str:
    """C whose value the compiler cannot know: with -ffast-math it may drop a store of what it knows to be infinite."""
    return f"*(volatile float *)&(unsigned){{{bits:#x}}}"


WRONG = {
    "sign of d": (FORWARD, "- d[t * U + i]", "+ d[t * U + i]", "d is added, not subtracted, in u"),
    "sign of K x": (FORWARD, "-Kx[i]", "Kx[i]", "K x is added, not subtracted"),
    "no B u": (FORWARD, "+ Bu[i]", "", "B u is not added"),
    "A transposed": (FORWARD, "multiply(A, X, X, 0", "multiply(A, X, X, 1", "A is used transposed"),
    "last step": (FORWARD, "t < T", "t < T - 1", "never written"),
    "state kept": (FORWARD, "state = x + t * X;", "", "elements of"),
    "no r": (BACKWARD, "Bp[i] += r[t * U + i]", "Bp[i] += 0", "r is not added in d"),
    "sign of K' r": (BACKWARD, "- Kr[i]", "+ Kr[i]", "K' r is added, not subtracted"),
    "q of the next step": (BACKWARD, "q[t * X + i]", "q[t * X + X + i]", "q of the step after"),
    "AmBKt transposed": (BACKWARD, "AmBKt, X, X, 0", "AmBKt, X, X, 1", "AmBKt is used transposed"),
    "not a number": (FORWARD, "Ax[i] + Bu[i]", f"{no_number(0x7FC00000)} + Bu[i]", "infinite or not a number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_refused_and_explained(gemmini: GemminiAdapter, name: str) -> None:
    problem_id, old, new, reason = WRONG[name]
    source = gemmini.baseline(gemmini.problem(problem_id))
    assert old in source
    result = judged(gemmini, problem_id, source.replace(old, new))
    assert result.verdict == "wrong_result", result.message
    assert reason in result.message


def test_values_that_are_no_numbers_survive_the_cache(gemmini: GemminiAdapter, home: Home) -> None:
    source = gemmini.baseline(gemmini.problem(FORWARD)).replace("Ax[i] + Bu[i]", f"{no_number(0x7F800000)} * Ax[i]")

    async def main() -> list[Evaluation]:
        return [await evaluate(FORWARD, source, home=home, adapter=gemmini) for _ in range(2)]

    first, again = anyio.run(main)
    assert first.verdict == "wrong_result"
    assert any(mismatch.got is None for mismatch in first.mismatches)
    assert "no finite number" in first.mismatches[0].text
    assert again.cached
    assert again.mismatches == first.mismatches


def test_a_kernel_for_the_larger_array_is_refused_there(gemmini: GemminiAdapter) -> None:
    source = gemmini.baseline(gemmini.problem(FORWARD)).replace("DIM", "16")
    result = judged(gemmini, FORWARD, source)
    assert result.verdict == "crashed"
    assert "4" in result.message


def test_it_can_be_profiled(gemmini: GemminiAdapter) -> None:
    problem = gemmini.problem(BACKWARD)
    profile = anyio.run(lambda: gemmini.profile(problem, gemmini.baseline(problem)))
    assert not isinstance(profile, Evaluation)
    assert {entry.tensor for entry in profile.traffic} >= {"AmBKt", "B", "p"}
    assert all(entry.reuse is None for entry in profile.traffic), "no matrix takes part in all of the problem's MACs"
    assert profile.bottlenecks
