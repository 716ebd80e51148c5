"""Every problem proves itself: its baseline passes; constants, zeros and copies of an input do not."""

from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError, Evaluation, Profile, UnknownProblemError
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.registry import adapter_for, adapters
from autocomp_mcp.hardware_adapters.simulating import Judgement
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.families import FAMILIES, SUITES, operator_of
from autocomp_mcp.hardware_adapters.trainium.judge import judge
from autocomp_mcp.hardware_adapters.trainium.machines import ENGINES
from autocomp_mcp.hardware_adapters.trainium.operators import numpy_type, outputs_of

SMALL = (
    "trainium/gemm-128x512x128", "trainium/gemm-130x520x200-bf16", "trainium/rmsnorm-128x64", "trainium/rmsnorm-130x96",
    "trainium/layernorm-131x64", "trainium/conv1d-2x130x140x3", "trainium/conv1d-1x4x16x16", "trainium/mamba-130x40x3",
    "trainium/cumsum-129x260", "trainium/conv1d-2x130x24x3-same", "trainium/attention-140x64",
    "trainium/attention-256x128-bf16", "trainium/sdattention-140x40", "trainium/csa-140x32", "trainium/mha-2x130x16",
    "trainium/csatile-512x64-q2", "trainium/csatile-512x32-q0", "trainium/transpose-2x130x140",
    "trainium/transpose2d-130x6x10", "trainium/maxpool-140x520-k3", "trainium/rope-64x520",
    "trainium/conv2d-2x130x5x6x131-k3-p1", "trainium/conv2d-1x3x5x520x4-k2-p0",
    "trainium/rmsnorm1d-130x96", "trainium/layernorm1d-130x96",
    "trainium/ssm-2x130x40x3", "trainium/ssm-1x20x40x3-spread",
)  # fmt: skip
ADAPTER = TrainiumAdapter(Home(Path("unused")))


def judged(problem_id: str, source: str, engine: str | None = None) -> Evaluation:
    async def run() -> Evaluation:
        return await ADAPTER.evaluate(ADAPTER.problem(problem_id), source, engine=engine)

    return anyio.run(run)


@pytest.mark.parametrize("problem_id", SMALL)
def test_baselines_pass(problem_id: str) -> None:
    evaluation = judged(problem_id, ADAPTER.baseline(ADAPTER.problem(problem_id)))
    assert evaluation.passed, evaluation.message
    assert evaluation.source == "estimated" and evaluation.latency is not None and evaluation.latency.unit == "ns"
    assert evaluation.utilisation is not None and 0 < evaluation.utilisation <= 1


def test_every_family_is_among_them() -> None:
    assert {operator_of(problem).family for problem in SMALL} == set(FAMILIES)


@pytest.mark.parametrize("problem_id", SMALL)
def test_worthless_outputs_fail(problem_id: str) -> None:
    operator = operator_of(problem_id)
    sets = operator.sets(np.random.default_rng(3))
    expected = [operator.expected(chosen.inputs) for chosen in sets]
    report = {"faults": [None] * len(sets)}
    types = {output.name: numpy_type(output.dtype) for output in outputs_of(operator)}

    def verdict(outputs: list[dict[str, np.ndarray]]) -> Judgement:
        typed = [{name: values.astype(types[name]) for name, values in each.items()} for each in outputs]
        return judge(operator, "nkisim", sets, expected, typed, report, "")

    for output in outputs_of(operator):
        attempts = {
            "zeros": [np.zeros(output.shape) for _ in sets],
            "ones": [np.ones(output.shape) for _ in sets],
            "mean": [np.full(output.shape, right[output.name].mean()) for right in expected],
            "nan": [np.full(output.shape, np.nan) for _ in sets],
            **{
                f"copy of {name}": [np.resize(chosen.inputs[name].astype(np.float64), output.shape) for chosen in sets]
                for name in sets[0].inputs
            },
        }
        for what, values in attempts.items():
            outputs = [{**right, output.name: value} for right, value in zip(expected, values, strict=True)]
            assert verdict(outputs).verdict == "wrong_result", (output.name, what)
        single = expected[0][output.name].astype(np.float64)
        single.flat[0] += 1 + abs(single.flat[0])
        assert verdict([{**expected[0], output.name: single}, *expected[1:]]).wrong_elements == 1
    for name in sets[0].inputs:
        without = [operator.expected({**chosen.inputs, name: chosen.inputs[name] * 0}) for chosen in sets]
        assert verdict(without).verdict == "wrong_result", f"without {name}"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_a_machine_of_its_own(engine: str) -> None:
    other = next(name for name in ENGINES if name != engine)
    source = ADAPTER.baseline(ADAPTER.problem(SMALL[0]))
    mine, theirs = judged(SMALL[0], source, engine), judged(SMALL[0], source, other)
    assert mine.passed and theirs.passed and mine.latency != theirs.latency


def test_ids_and_suites() -> None:
    for name in SUITES:
        for summary in ADAPTER.suite(name):
            assert ADAPTER.problem(summary.id).id == summary.id
    with pytest.raises(UnknownProblemError, match="did you mean 'trainium/rmsnorm-128x512'"):
        ADAPTER.problem("trainium/rmsnrm-128x512")
    for bad in ("trainium/rmsnorm-0x4", "trainium/conv1d-1x1x4x5", "trainium/gemm-65536x65536x65536"):
        with pytest.raises(UnknownProblemError):
            ADAPTER.problem(bad)


def test_the_registry_has_the_target(tmp_path: Path) -> None:
    assert adapters(Home(tmp_path))["trainium"] is adapter_for(SMALL[0], Home(tmp_path))


def test_kernels_that_differ_after_a_division_are_two(tmp_path: Path) -> None:
    """`//` begins no comment in Python: results of one kernel are never taken for the other's."""
    home = Home(tmp_path)
    source = ADAPTER.baseline(ADAPTER.problem(SMALL[2]))
    right = source.replace("min(128, R - r)", "min(256 // 2, R - r)")
    wrong = source.replace("min(128, R - r)", "min(256 // 4, R - r)")

    async def both() -> list[Evaluation]:
        return [await evaluate(SMALL[2], text, home=home) for text in (right, f"# again\n{right}", wrong)]

    first, again, other = anyio.run(both)
    assert first.passed and again.passed and again.cached and not other.passed and not other.cached


def test_profiles_account_for_the_whole_call() -> None:
    problem = ADAPTER.problem(SMALL[3])

    async def run() -> Profile | Evaluation:
        return await ADAPTER.profile(problem, ADAPTER.baseline(problem))

    profile = anyio.run(run)
    assert isinstance(profile, Profile)
    busiest = max((u for u in profile.units if u.unit != "dma"), key=lambda unit: unit.busy)
    total = busiest.busy + sum(stall.cycles for stall in profile.stalls)
    assert abs(total - profile.latency.value) <= len(profile.stalls) + 1
    assert profile.bottlenecks and profile.traffic[0].bytes_moved == profile.traffic[0].bytes_needed
    assert {stall.cause for stall in profile.stalls} <= set(ADAPTER.causes())


async def profile_of(problem_id: str, source: str | None = None) -> Profile:
    problem = ADAPTER.problem(problem_id)
    found = await ADAPTER.profile(problem, source or ADAPTER.baseline(problem))
    assert isinstance(found, Profile), found
    return found


def test_what_a_kernel_leaves_in_hbm_between_its_steps_is_told() -> None:
    """The naive kernel stores its scores four times over; q, k and v are the least of what it moves."""
    profile = anyio.run(profile_of, "trainium/attention-512x128-bf16")
    found = next(entry for entry in profile.bottlenecks if entry.id == "reload_traffic")
    assert "keeps in HBM between its steps" in found.explanation
    assert found.evidence["own_bytes"] > 5 * found.evidence["bytes_of_inputs_and_outputs"]
    assert len({entry.id for entry in profile.bottlenecks}) == len(profile.bottlenecks)


WAITS_FOR_DMA = """
import nki, nki.isa as nisa, nki.language as nl

@nki.jit
def solution(x, gain):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    gains = nl.ndarray((128, C), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=gains, src=gain.broadcast(0, 128))
    eps = nl.full((128, 1), 1e-05, dtype=nl.float32, buffer=nl.sbuf)
    for r in range(0, R, 128):
        data = nl.ndarray((128, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=data, src=x[r:r + 128, :])
        total = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
        squares = nl.ndarray((128, C), dtype=nl.bfloat16, buffer=nl.sbuf)
        nisa.activation_reduce(dst=squares, op=nl.square, data=data, reduce_op=nl.add, reduce_res=total)
        nisa.activation(dst=total, op=nl.rsqrt, data=total, scale=1.0 / C, bias=eps)
        nisa.scalar_tensor_tensor(dst=data, data=data, op0=nl.multiply, operand0=total, op1=nl.multiply, operand1=gains)
        nisa.dma_copy(dst=out[r:r + 128, :], src=data)
    return out
"""


def test_who_waits_for_an_engine_that_waits_for_dma_waits_for_dma() -> None:
    """Vector stands for Scalar a third of the time, but a chain of instructions is not why."""
    profile = anyio.run(profile_of, "trainium/rmsnorm-4096x512", WAITS_FOR_DMA)
    waits = {stall.cause: stall.share for stall in profile.stalls}
    assert waits["wait_scalar"] > 0.2 and profile.counters["critical_path_dma_ns"] > 0.8 * profile.latency.value
    assert [entry.id for entry in profile.bottlenecks if entry.id == "dependency"] == []


def test_a_dependency_names_the_lines() -> None:
    """Of the naive kernel: the scaling (line 28) waits for the root (line 27)."""
    profile = anyio.run(profile_of, "trainium/rmsnorm-1024x512")
    found = next(entry for entry in profile.bottlenecks if entry.id == "dependency")
    assert "longest: line 28 for line 27" in found.explanation


def test_a_timeline_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    problem = ADAPTER.problem("trainium/rmsnorm-128x64")
    wanted = tmp_path / "absent" / "timeline.json"
    with pytest.raises(EnvironmentLackError, match=r"the timeline cannot be written to .*absent"):
        anyio.run(lambda: ADAPTER.profile(problem, ADAPTER.baseline(problem), timeline=wanted))


@pytest.mark.parametrize(
    "problem", ["gemm-128x128x1024", "rmsnorm-128x512", "conv2d-1x8x16x16x8-k3-p1", "cumsum-128x256"]
)
def test_float32_problems_tell_float32_from_bfloat16(problem: str) -> None:
    import ml_dtypes

    operator = operator_of(f"trainium/{problem}")
    inputs = operator.sets(np.random.default_rng(1))[0].inputs
    right = operator.expected(inputs)["out"]
    near = operator.near(right)
    narrow = {name: values.astype(ml_dtypes.bfloat16).astype(np.float32) for name, values in inputs.items()}
    off = np.abs(operator.expected(narrow)["out"] - right) > near.absolute + near.relative * np.abs(right)
    assert off.mean() > 0.5
    exact = np.abs(right.astype(np.float32) - right)
    assert (16 * exact <= near.absolute + near.relative * np.abs(right)).all()
    published = operator.near(right, published=True)
    assert published == operator.closeness and near.relative < published.relative
    assert "float32 accuracy" in operator.tolerance


@pytest.mark.parametrize("problem", ["gemm-128x128x128-bf16", "attention-128x64", "mha-2x128x32", "csatile-512x64-q1"])
def test_other_problems_keep_the_published_tolerance(problem: str) -> None:
    operator = operator_of(f"trainium/{problem}")
    assert operator.near(np.ones((2, 2))) == operator.closeness and "float32" not in operator.tolerance
