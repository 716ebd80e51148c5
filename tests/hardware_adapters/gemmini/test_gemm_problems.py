"""The GEMM family: reference results, limits, and data on which worthless kernels fail."""

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import UnknownProblemError
from autocomp_mcp.hardware_adapters.gemmini.diagnosis import explain_mistake
from autocomp_mcp.hardware_adapters.gemmini.gemm_operator import GemmOperator
from autocomp_mcp.hardware_adapters.gemmini.inputs import input_sets, unproven
from autocomp_mcp.hardware_adapters.gemmini.operators import describe
from autocomp_mcp.hardware_adapters.gemmini.problems import EXAMPLES
from autocomp_mcp.hardware_adapters.simulating import generator
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = st.builds(
    GemmOperator,
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([None, "bias", "biasmat"]),
    st.booleans(),
    st.integers(0, 10),
)


def by_definition(gemm: GemmOperator, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The formula of the documentation, in exact integers."""
    total = inputs["A"].astype(object) @ inputs["B"].astype(object)
    if gemm.bias:
        total = total + inputs["D"].astype(object)
    half, mask = 1 << gemm.shift >> 1, (1 << gemm.shift) - 1

    def finish(value: int) -> int:
        low, rest = value >> gemm.shift, value & mask
        rounded = low + (rest > half or (rest == half and half and low & 1))
        return max(0 if gemm.relu else -128, min(127, rounded))

    return np.vectorize(finish, otypes=[np.int8])(total)


@given(SMALL, st.integers(0, 1000))
@settings(deadline=None)
def test_reference_is_the_formula(gemm: GemmOperator, seed: int) -> None:
    for chosen in input_sets(gemm, generator("p", "k", seed)):
        assert np.array_equal(gemm.reference(chosen.inputs), by_definition(gemm, chosen.inputs))


def test_reference_is_exact_where_single_precision_would_not_be() -> None:
    gemm = GemmOperator(1, 1, 65_536)
    inputs = {"A": np.full((1, 65_536), -128, np.int8), "B": np.full((65_536, 1), 127, np.int8)}
    inputs["B"][::2] = -127
    inputs["A"][0, 0] = -127
    assert gemm.reference(inputs)[0, 0] == -127


@given(SMALL, st.integers(0, 1000))
@settings(deadline=None)
def test_every_problem_proves_itself(gemm: GemmOperator, seed: int) -> None:
    """Zeros, constants, copies of an input and leaving an input out fail on at least one set."""
    sets = input_sets(gemm, generator("p", "k", seed))
    expected = [gemm.reference(chosen.inputs) for chosen in sets]
    assert unproven(gemm, sets) is None
    for constant in (-128, -1, 0, 1, 127):
        assert any((result != constant).any() for result in expected)


def test_a_worthless_set_is_recognised() -> None:
    gemm = GemmOperator(2, 2, 2)
    (full, *_) = input_sets(gemm, generator("p", "k", 0))
    zeros = full._replace(inputs={name: value * 0 for name, value in full.inputs.items()})
    identity = full._replace(inputs={**full.inputs, "B": np.eye(2, dtype=np.int8)})
    assert unproven(gemm, [zeros, zeros]) == "a constant"
    assert unproven(gemm, [identity]) == "a copy of A"


def test_sets_do_what_they_are_for() -> None:
    gemm = GemmOperator(96, 96, 512)
    full, sparse, dense = input_sets(gemm, generator("p", "k", 0))
    assert (np.abs(gemm.reference(full.inputs).astype(int)) >= 127).mean() > 0.99
    assert full.inputs["A"].min() == -128
    assert full.inputs["A"].max() == 127
    for chosen, saturated in ((sparse, 0.5), (dense, 0.02)):
        result = gemm.reference(chosen.inputs)
        assert ((result == 127) | (result == -128)).mean() < saturated
        assert np.unique(result).size > 200
    # In the dense set every single k shows in most rows.
    for k in (0, 255, 511):
        without = dense.inputs["A"].copy()
        without[:, k] = 0
        changed = gemm.reference({**dense.inputs, "A": without}) != gemm.reference(dense.inputs)
        assert changed.mean() > 0.3


def test_a_shift_leaves_values_to_check() -> None:
    for shift in (4, 8, 12):
        gemm = GemmOperator(64, 64, 256, "bias", True, shift)
        for chosen in input_sets(gemm, generator("p", "k", 0)):
            assert np.unique(gemm.reference(chosen.inputs)).size > 10, (shift, chosen.name)


def test_no_two_kernels_problems_or_seeds_see_the_same_data() -> None:
    gemm = GemmOperator(8, 8, 8)
    drawn = [input_sets(gemm, generator(*key)) for key in (("p", "k", 0), ("p", "k", 1), ("p", "l", 0), ("q", "k", 0))]
    assert len({sets[2].inputs["A"].tobytes() for sets in drawn}) == 4
    again = input_sets(gemm, generator("p", "k", 0))
    assert again[0].inputs["A"].tobytes() == drawn[0][0].inputs["A"].tobytes()


@pytest.mark.parametrize("problem_id", EXAMPLES)
def test_examples_are_problems_and_say_everything(problem_id: str) -> None:
    gemm = GemmOperator.of(problem_id)
    problem = describe(gemm)
    assert problem.id == gemm.id == problem_id
    assert problem.bound.value == gemm.m * gemm.n * gemm.k / 256
    assert [tensor.name for tensor in problem.tensors] == (["A", "B", "D", "C"] if gemm.bias else ["A", "B", "C"])
    assert problem.work.bytes_out == gemm.m * gemm.n
    assert len(problem.model_dump_json()) < 8192


def test_signature_and_semantics_of_the_options() -> None:
    problem = describe(GemmOperator.of("gemmini/gemm-3x4x50-biasmat-relu-shift5"))
    assert problem.signature == "void solution(const int8_t *A, const int8_t *B, const int32_t *D, int8_t *C)"
    assert problem.tensors[2].shape == (3, 4)
    for part in ("A x B + D", "2^5", "ReLU", "-128..127"):
        assert part in problem.semantics
    assert describe(GemmOperator.of("gemmini/gemm-3x4x5-bias")).tensors[2].shape == (4,)


@pytest.mark.parametrize(
    ("problem_id", "reason"),
    [
        ("gemmini/gemm-0x1x1", "M = 0"),
        ("gemmini/gemm-1x1x65537", "K = 65537"),
        ("gemmini/gemm-60000x60000x1", "operands take"),
        ("gemmini/gemm-4096x4096x1024", "simulated in reasonable time"),
        ("gemmini/gemm-64x64x64-shift17", "shift 17"),
        ("gemmini/gemm-64x64x1-shift16", "smaller"),
        ("gemmini/gemm-512x512", "3 dimensions"),
    ],
)
def test_sizes_without_sense_are_refused(problem_id: str, reason: str) -> None:
    with pytest.raises(UnknownProblemError) as caught:
        GemmOperator.of(problem_id)
    assert reason in str(caught.value)


@pytest.mark.parametrize("gemm", [GemmOperator(48, 40, 200), GemmOperator(33, 20, 96, "biasmat", True, 2)], ids=str)
@pytest.mark.parametrize(("start", "end"), [(0, 48), (32, 64), (64, None)])
def test_products_that_are_missing_are_named(gemm: GemmOperator, start: int, end: int | None) -> None:
    dense = input_sets(gemm, generator("p", "k", 1))[-1]
    a = dense.inputs["A"].copy()
    a[:, start:end] = 0
    got, expected = gemm.reference({**dense.inputs, "A": a}), gemm.reference(dense.inputs)
    said = explain_mistake(gemm, dense, "C", got, expected)
    last = (gemm.k if end is None else end) - 1
    assert f"the products of k = {start}..{last} are missing" in said or f"the last {gemm.k - start} of the" in said
    assert explain_mistake(gemm, dense, "C", np.roll(expected, 1, axis=0), expected) == ""
