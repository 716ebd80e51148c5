"""Ids of parametric problems: one spelling each, and a useful answer to every other one."""

import pytest
from autocomp_mcp.hardware_adapters.base import UnknownProblemError
from autocomp_mcp.hardware_adapters.problems import IdPattern
from autocomp_mcp.hardware_adapters.registry import adapter_for, adapters
from hypothesis import given
from hypothesis import strategies as st

PATTERN = IdPattern("toy", "gemm", ("M", "N"), ("bias|biasmat", "relu", "shiftS"))
NUMBER = st.integers(1, 99_999)


def test_the_pattern_reads_as_documented() -> None:
    assert PATTERN.text == "toy/gemm-MxN[-bias|-biasmat][-relu][-shiftS]"


@given(m=NUMBER, n=NUMBER, bias=st.sampled_from(["", "bias", "biasmat"]), relu=st.booleans(), shift=st.integers(0, 40))
def test_format_and_parse_are_inverse(m: int, n: int, bias: str, relu: bool, shift: int) -> None:
    options = {bias: 1, "relu": int(relu), "shift": shift}
    found = {name: number for name, number in options.items() if name and number}
    assert PATTERN.parse(PATTERN.format({"M": m, "N": n}, options)) == ({"M": m, "N": n}, found)


@given(st.one_of(st.text(max_size=60), st.from_regex(r"toy/gemm-[0-9x]{0,12}(-[a-z0-9]{0,8}){0,3}", fullmatch=True)))
def test_any_text_is_parsed_or_refused_and_one_problem_has_one_id(text: str) -> None:
    try:
        dims, options = PATTERN.parse(text)
    except UnknownProblemError as error:
        assert str(error)
    else:
        assert PATTERN.format(dims, options) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("toy/gemm-2", "2 dimensions, MxN, not 1"),
        ("toy/gemm-2x3x4", "not 3"),
        ("toy/gemm-2x03", "did you mean 'toy/gemm-2x3'?"),
        ("toy/gemm-2x3-relu-bias", "did you mean 'toy/gemm-2x3-bias-relu'?"),
        ("toy/gemm-2x3-rleu", "did you mean 'relu'?"),
        ("toy/gemm-2x3-bias-biasmat", "exclude each other"),
        ("toy/gemm-2x3-relu-relu", "given twice"),
        ("toy/gemm-2x3-shift", "no option"),
        ("toy/gemm-2x3-relu5", "no option"),
        ("toy/gemm-2x3-shift0", "did you mean 'toy/gemm-2x3'?"),
        ("toy/gemm-2x٣", "ids look like"),
        ("toy/conv-2x3", "ids look like"),
        ("toy/gemm-" + "9" * 500 + "x1", "too long"),
    ],
)
def test_what_is_wrong_is_said(text: str, hint: str) -> None:
    with pytest.raises(UnknownProblemError, match="unknown problem") as caught:
        PATTERN.parse(text)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 500


def test_the_registry_names_the_nearest_problem() -> None:
    assert adapter_for("gemmini/gemm-512x512x512") is adapters()["gemmini"]
    with pytest.raises(UnknownProblemError, match="gemmini/gemm-512x512x512"):
        adapter_for("gemini/gemm-512x512x512")
    with pytest.raises(UnknownProblemError, match="gemmini/gemm-MxNxK"):
        adapter_for("")


def test_an_adapter_names_the_nearest_problem() -> None:
    with pytest.raises(UnknownProblemError, match="did you mean 'gemmini/gemm-512x512x512'"):
        adapters()["gemmini"].problem("gemmini/gem-512x512x512")
