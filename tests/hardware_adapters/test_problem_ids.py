"""Ids of parametric problems: one spelling each, and a useful answer to every other one."""

import pytest
from autocomp_mcp.hardware_adapters.base import UnknownProblemError
from autocomp_mcp.hardware_adapters.problems import IdPattern
from autocomp_mcp.hardware_adapters.registry import adapter_for
from hypothesis import given
from hypothesis import strategies as st

PATTERN = IdPattern("toy", "gemm", ("M", "N"), ("bias|biasmat", "relu", "shiftS"))
NEEDING = IdPattern("toy", "conv", ("H", "W"), ("nN", "relu"), (("kK", 3), ("pP", 0)))
NUMBER = st.integers(1, 99_999)


def test_the_pattern_reads_as_documented() -> None:
    assert PATTERN.text == "toy/gemm-MxN[-bias|-biasmat][-relu][-shiftS]"


@given(h=NUMBER, w=NUMBER, k=st.integers(0, 9), p=st.integers(0, 9), n=st.integers(0, 9))
def test_needed_options_are_always_there_even_when_they_are_0(h: int, w: int, k: int, p: int, n: int) -> None:
    assert NEEDING.text == "toy/conv-HxW-kK-pP[-nN][-relu]"
    written = NEEDING.format({"H": h, "W": w}, {"k": k, "p": p, "n": n})
    assert written.startswith(f"toy/conv-{h}x{w}-k{k}-p{p}")
    options = {"k": k, "p": p} | ({"n": n} if n else {})
    assert NEEDING.parse(written) == ({"H": h, "W": w}, options)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("toy/conv-2x3", "-kK is missing; did you mean 'toy/conv-2x3-k3-p0'?"),
        ("toy/conv-2x3-k5", "-pP is missing; did you mean 'toy/conv-2x3-k5-p0'?"),
        ("toy/conv-2x3-p1-k5", "did you mean 'toy/conv-2x3-k5-p1'?"),
        ("toy/conv-2x3-k5-p01", "did you mean 'toy/conv-2x3-k5-p1'?"),
        ("toy/conv-2x3-k-p1", "'k' is no option of"),
    ],
)
def test_a_missing_needed_option_is_proposed(text: str, hint: str) -> None:
    with pytest.raises(UnknownProblemError) as caught:
        NEEDING.parse(text)
    assert hint in str(caught.value)


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
    near = PATTERN.nearest(text)
    assert near is None or PATTERN.format(*PATTERN.parse(near)) == near, "only ids that exist are proposed"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("toy/gemm-2", "2 dimensions, MxN, not 1; did you mean 'toy/gemm-2x2'?"),
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


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("gemmini/gem-512x512x512", "gemmini/gemm-512x512x512"),
        ("gemmini/gemm-512x512", "gemmini/gemm-512x512x512"),
        ("gemini/gemm-512x512x512", "gemmini/gemm-512x512x512"),
        ("gemm-512x512x512", "gemmini/gemm-512x512x512"),
        ("gemmini/gem-17x33x65", "gemmini/gemm-17x33x65"),
        ("gemini/gem-17x33x65-rleu-shfit8", "gemmini/gemm-17x33x65-relu-shift8"),
        ("Gemmini/GEMM_017x33x65-relu-bias-biasmat", "gemmini/gemm-17x33x65-bias-relu"),
        ("gemmini/gemm-17x33x65x129", "gemmini/gemm-17x33x65"),
        ("gemmini/17x33x65", "gemmini/gemm-17x33x65"),
        ("gemmini/gem-0x33x65", None),
        ("gemmini/gem-70000x33x65", None),
        ("elsewhere/gemm-17x33x65", None),
        ("gemmini/conv-17x33x65", "gemmini/conv-17x33x65x65-k3-s1-p1"),
        ("gemmini/56x56x64x64-k3-s1-p1", "gemmini/conv-56x56x64x64-k3-s1-p1"),
        ("gemmini/pool-17x33x65", None),
        ("gemmini", None),
        ("", None),
    ],
)
def test_the_id_that_was_meant_is_named_with_its_dimensions(misspelt: str, meant: str | None) -> None:
    with pytest.raises(UnknownProblemError) as caught:
        adapter_for(misspelt).problem(misspelt)
    said = str(caught.value)
    assert ("did you mean" in said) == (meant is not None)
    assert meant is None or f"did you mean {meant!r}?" in said
    assert meant is not None or "gemmini/gemm-MxNxK" in said
    assert meant is None or adapter_for(meant).problem(meant).id == meant
