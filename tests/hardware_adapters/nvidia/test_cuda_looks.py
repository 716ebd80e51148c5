"""What is looked at after timed calls: parts of a problem, for inputs that no call had before."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure
from autocomp_mcp.hardware_adapters.nvidia.cuda import looks, native
from autocomp_mcp.hardware_adapters.nvidia.cuda.job import SAMPLES, Report, Trial
from autocomp_mcp.hardware_adapters.nvidia.families import FAMILIES, operator_of
from autocomp_mcp.hardware_adapters.nvidia.operators import FULL, Operator, input_set, small_sets
from autocomp_mcp.hardware_adapters.nvidia.parts import Part, drawn, elements, extent

PROBLEMS = (
    "nvidia/sgemm-96x64x48", "nvidia/gemm-scale-leakyrelu-64x96x40", "nvidia/gemv-512x300", "nvidia/softmax-256x200",
    "nvidia/layernorm-256x200", "nvidia/cumsum-256x200", "nvidia/colsum-300x512", "nvidia/transpose-200x333",
    "nvidia/dwconv3x3-2x3x40x56", "nvidia/attention-2x64x16", "nvidia/sgemm-3x5x7", "nvidia/attention-1x1x1",
)  # fmt: skip


def taken(operator: Operator, part: Part, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    shapes, _ = operator.shapes(operator.dims)
    return {name: inputs[name].reshape(-1)[elements(shape, part.inputs[name])] for name, shape in shapes.items()}


def test_every_family_is_among_them() -> None:
    assert {operator_of(problem).family for problem in PROBLEMS} == set(FAMILIES)


@pytest.mark.parametrize("problem_id", PROBLEMS)
def test_a_part_is_decided_by_its_inputs(problem_id: str) -> None:
    operator, rng = operator_of(problem_id), np.random.default_rng(1)
    inputs = input_set(operator, rng, FULL, operator.dims).inputs
    whole, (_, outputs) = operator.expected(inputs), operator.shapes(operator.dims)
    seen = {name: np.zeros(math.prod(shape), bool) for name, shape in outputs.items()}
    for _ in range(100):
        part = operator.part(rng)
        right = operator.expected(taken(operator, part, inputs))
        for name, shape in outputs.items():
            assert right[name].values.shape == extent(shape, part.outputs[name])
            numbers, within = drawn(rng, shape, part.outputs[name], 50)
            for ours, all_of_it in zip(right[name], whole[name], strict=True):
                np.testing.assert_allclose(ours.reshape(-1)[within], all_of_it.reshape(-1)[numbers], rtol=1e-9)
            seen[name][elements(shape, part.outputs[name])] = True
    assert all(places.mean() > 0.9 for places in seen.values()), "every element may be looked at"


def in_float32(operator: Operator, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a plain kernel makes of them: `expected` computes in float64, so its inputs are rounded instead."""
    noise, most = np.random.default_rng(2), 6e-8 if operator.closeness else 0
    near = {name: values * (1 + noise.uniform(-most, most, values.shape)) for name, values in inputs.items()}
    return {name: right.values for name, right in operator.expected(near).items()}


def recorded(folder: Path, problem_id: str, *, left_out: int = 0) -> tuple[native.Task, Report]:
    """A task whose kernel is right to rounding at every call, but for the first `left_out`, which repeat what was right
    for the inputs of the call before."""
    operator, rng = operator_of(problem_id), np.random.default_rng(3)
    full = [input_set(operator, rng, f"{FULL}, {n}", operator.dims) for n in range(3)]
    given = native.task(operator, (*small_sets(operator, rng), *full), [folder / "kernel.so"], "time")
    trials = tuple(Trial(0, 0, 1000 + n, 1.0, 0.0, 1.0) for n in range(len(given.looked)))
    inputs, outputs = operator.shapes(operator.dims)
    with (folder / "samples").open("wb") as file:
        for call, (look, trial) in enumerate(zip(given.looked, trials, strict=True)):
            of = trials[call - 1] if call < left_out else trial
            values = {
                name: given.job.given(of, place, elements(shape, look.part.inputs[name]))
                for place, (name, shape) in enumerate(inputs.items())
            }
            made = in_float32(operator, values)
            for name in outputs:
                file.write(made[name].reshape(-1)[look.numbers[name]].astype(np.float32).tobytes())
    return given, Report({}, len(given.sets), trials, (), None, True)


@pytest.mark.parametrize("problem_id", PROBLEMS[:10])
def test_rounding_passes_and_what_was_kept_does_not(tmp_path: Path, problem_id: str) -> None:
    given, report = recorded(tmp_path, problem_id)
    calls = range(len(given.looked))
    assert looks.wrong_calls(given.operator, given.job, given.looked, calls, tmp_path, report) == []
    given, report = recorded(tmp_path, problem_id, left_out=5)
    assert looks.wrong_calls(given.operator, given.job, given.looked, calls, tmp_path, report) == [0, 1, 2, 3, 4]


def test_picks_are_the_elements_of_the_parts(tmp_path: Path) -> None:
    operator = operator_of("nvidia/attention-2x64x16")
    found, picks = looks.looks(operator, np.random.default_rng(4), 7)
    assert picks.shape == (7, 1, SAMPLES) and len(np.unique(picks)) > 500
    for look, (picked,) in zip(found, picks, strict=True):
        within = elements((2, 64, 16), look.part.outputs["out"]).reshape(-1)
        assert np.array_equal(within[look.numbers["out"]], picked)


def test_of_large_problems_some_calls_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    operator, rng = operator_of("nvidia/gemv-512x300"), np.random.default_rng(5)
    found, _ = looks.looks(operator, rng, 150)
    assert looks.judged_calls(operator, found, rng) == list(range(150))
    monkeypatch.setattr(looks, "MOST_ELEMENTS", 1000)
    some = {tuple(looks.judged_calls(operator, found, rng)) for _ in range(5)}
    assert len(some) == 5 and all(len(calls) == looks.LEAST_CALLS for calls in some)


def test_too_few_samples_are_the_engines_failure(tmp_path: Path) -> None:
    given, report = recorded(tmp_path, "nvidia/sgemm-3x5x7")
    (tmp_path / "samples").write_bytes((tmp_path / "samples").read_bytes()[:-4])
    with pytest.raises(EngineFailure, match="looked at 149 of 150 timed calls"):
        looks.wrong_calls(given.operator, given.job, given.looked, [0], tmp_path, report)
