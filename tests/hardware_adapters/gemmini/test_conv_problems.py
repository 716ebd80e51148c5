"""The convolution family: reference results, ids, limits, and data on which worthless kernels fail."""

import math

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import UnknownProblemError
from autocomp_mcp.hardware_adapters.gemmini.conv_operator import ConvOperator
from autocomp_mcp.hardware_adapters.gemmini.families import operator_of
from autocomp_mcp.hardware_adapters.gemmini.inputs import input_sets, unproven
from autocomp_mcp.hardware_adapters.gemmini.operators import describe
from autocomp_mcp.hardware_adapters.simulating import generator
from hypothesis import assume, given, settings
from hypothesis import strategies as st


@st.composite
def convs(draw: st.DrawFn) -> ConvOperator:
    kernel = draw(st.integers(1, 4))
    side, channels = st.integers(1, 7), st.integers(1, 5)
    conv = ConvOperator(
        draw(side), draw(side), draw(channels), draw(channels), kernel, draw(st.integers(1, 3)),
        draw(st.integers(0, kernel - 1)), draw(st.integers(1, 2)), draw(st.booleans()), draw(st.booleans()),
        draw(st.integers(0, 8)),
    )  # fmt: skip
    assume(conv.refused() is None)
    return conv


def by_definition(conv: ConvOperator, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The formula of the documentation, one product after the other, in exact integers."""
    image, weights = (inputs[name].tolist() for name in ("input", "weights"))
    out = np.zeros((conv.batch, conv.out_height, conv.out_width, conv.channels_out), np.int8)
    for n, y, x, co in np.ndindex(*out.shape):
        total = int(inputs["D"][co]) if conv.bias else 0
        for ky in range(conv.kernel):
            for kx in range(conv.kernel):
                row, column = y * conv.stride + ky - conv.padding, x * conv.stride + kx - conv.padding
                if 0 <= row < conv.height and 0 <= column < conv.width:
                    for ci in range(conv.channels_in):
                        total += image[n][row][column][ci] * weights[ky][kx][ci][co]
        low, rest, half = total >> conv.shift, total & ((1 << conv.shift) - 1), 1 << conv.shift >> 1
        low += rest > half or (rest == half and half > 0 and low & 1)
        out[n, y, x, co] = max(0 if conv.relu else -128, min(127, low))
    return out


@given(convs(), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_reference_is_the_formula(conv: ConvOperator, seed: int) -> None:
    for chosen in input_sets(conv, generator("p", "k", seed)):
        assert np.array_equal(conv.reference(chosen.inputs), by_definition(conv, chosen.inputs))


@given(convs(), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_every_problem_proves_itself(conv: ConvOperator, seed: int) -> None:
    assert unproven(conv, input_sets(conv, generator("p", "k", seed))) is None


@given(convs())
def test_one_problem_has_one_id_and_the_bound_leaves_padding_out(conv: ConvOperator) -> None:
    assert ConvOperator.of(conv.id) == conv
    problem = describe(conv)
    ones = np.ones((conv.batch, conv.height, conv.width, conv.channels_in), np.int8)
    counting = conv._replace(bias=False)
    counted = counting.sums({"input": ones, "weights": np.ones(problem.tensors[1].shape, np.int8)})
    assert problem.work.macs == counted.sum() == problem.bound.value * 256
    assert problem.work.bytes_out == math.prod(problem.tensors[-1].shape)


def test_sets_do_what_they_are_for() -> None:
    conv = ConvOperator.of("gemmini/conv-20x20x32x32-k3-s1-p1")
    full, sparse, dense = input_sets(conv, generator("p", "k", 0))
    assert (np.abs(conv.reference(full.inputs).astype(int)) >= 127).mean() > 0.98
    for chosen, saturated in ((sparse, 0.5), (dense, 0.02)):
        result = conv.reference(chosen.inputs)
        assert ((result == 127) | (result == -128)).mean() < saturated
        assert np.unique(result).size > 200
    for tap in np.ndindex(3, 3):
        without = dense.inputs["weights"].copy()
        without[tap] = 0
        changed = conv.reference({**dense.inputs, "weights": without}) != conv.reference(dense.inputs)
        assert changed.mean() > 0.5


def test_a_problem_says_everything() -> None:
    problem = describe(ConvOperator.of("gemmini/conv-14x15x8x24-k3-s2-p1-n4-bias-relu-shift7"))
    assert problem.signature == (
        "void solution(const int8_t *input, const int8_t *weights, const int32_t *D, int8_t *output)"
    )
    assert [tensor.shape for tensor in problem.tensors] == [(4, 14, 15, 8), (3, 3, 8, 24), (24,), (4, 7, 8, 24)]
    for part in ("y*S + ky - P", "D[co]", "2^7", "ReLU", "-128..127", "NHWC"):
        assert part in problem.semantics
    assert problem.dims["OH"] == 7
    assert problem.dims["OW"] == 8
    assert len(problem.model_dump_json()) < 8192


@pytest.mark.parametrize(
    ("problem_id", "reason"),
    [
        ("gemmini/conv-8x8x4x4-k3-s1-p3", "padding of 3"),
        ("gemmini/conv-2x8x4x4-k5-s1-p0", "does not fit"),
        ("gemmini/conv-0x8x4x4-k1-s1-p0", "H = 0"),
        ("gemmini/conv-8x8x4x4-k16-s1-p0", "K = 16"),
        ("gemmini/conv-8x8x4x4-k3-s0-p0", "S = 0"),
        ("gemmini/conv-64x64x4096x16-k5-s1-p0", "int32"),
        ("gemmini/conv-4096x4096x16x16-k3-s1-p0", "operands take"),
        ("gemmini/conv-512x512x64x64-k3-s1-p0", "simulated in reasonable time"),
        ("gemmini/conv-8x8x1x1-k1-s1-p0-shift14", "smaller"),
        ("gemmini/conv-8x8x4x4-k3-s1-p0-shift17", "shift 17"),
        ("gemmini/conv-8x8x4x4-k3-s1-p0-n1", "did you mean 'gemmini/conv-8x8x4x4-k3-s1-p0'?"),
        ("gemmini/conv-8x8x4x4", "-kK is missing; did you mean 'gemmini/conv-8x8x4x4-k3-s1-p1'?"),
        ("gemmini/conv-8x8x4x4-s1-k3-p0", "did you mean 'gemmini/conv-8x8x4x4-k3-s1-p0'?"),
        ("gemmini/conv-8x8x4-k3-s1-p0", "did you mean 'gemmini/conv-8x8x4x4-k3-s1-p0'?"),
        ("gemmini/convolution-8x8x4x4-k5", "did you mean 'gemmini/conv-8x8x4x4-k5-s1-p1'?"),
        ("gemmini/cnov-8x8x4x4-k3-s1-p0-rleu", "did you mean 'gemmini/conv-8x8x4x4-k3-s1-p0-relu'?"),
        ("gemmini/con-9x8x4x4-k3-s2-p0-n4", "did you mean 'gemmini/conv-9x8x4x4-k3-s2-p0-n4'?"),
    ],
)
def test_what_is_no_problem_is_refused_with_the_nearest(problem_id: str, reason: str) -> None:
    with pytest.raises(UnknownProblemError) as caught:
        operator_of(problem_id)
    assert reason in str(caught.value)
