"""References as text: what they can say, and what they can never do."""

import contextlib
import re

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.custom.expression import ExpressionError, parse, parse_integer
from hypothesis import given, settings
from hypothesis import strategies as st

A = np.arange(-8, 8).reshape(4, 4)
B = np.arange(16).reshape(4, 4) % 5
NAMES = {"A": A, "B": B, "M": 4, "N": 4}


def value(text: str) -> np.ndarray:
    return np.asarray(parse(text, NAMES, ("C",)).run(NAMES)["C"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A + B", A + B),
        ("np.clip(A @ B, -128, 127)", np.clip(A @ B, -128, 127)),
        ("C = np.where(A > 0, A, B // 2) ** 2", np.where(A > 0, A, B // 2) ** 2),
        ("total = A.astype(np.float64) @ B.T\nC = np.rint(total / 2**3)", np.rint(A.astype(float) @ B.T / 8)),
        ("np.einsum('ij,kj->ik', A, B)", np.einsum("ij,kj->ik", A, B)),
        ("A[1:, ::-1].sum(axis=0, keepdims=True) - B[:1]", A[1:, ::-1].sum(axis=0, keepdims=True) - B[:1]),
        ("np.stack([A[0], B[-1]], axis=1)", np.stack([A[0], B[-1]], axis=1)),
        ("np.exp(A - A.max(axis=1)[:, np.newaxis])", np.exp(A - A.max(axis=1)[:, None])),
        ("np.pad(A, ((1, 1), (0, 0)), mode='edge')[M]", np.pad(A, ((1, 1), (0, 0)), mode="edge")[4]),
        ("-(~A & 3) | (B << 1)", -(~A & 3) | (B << 1)),
        ("A.reshape(A.size)[..., None] * M", A.reshape(16)[..., None] * 4),
    ],
)
def test_numpy_is_understood(text: str, wanted: np.ndarray) -> None:
    got = value(text)
    assert got.shape == wanted.shape
    assert np.array_equal(got, wanted)


def test_products_of_integers_are_exact_where_float64_would_round() -> None:
    large = np.full((2, 2), (1 << 31) - 1)
    known = {"A": large, "B": large - 1}
    got = parse("A @ B", known, ("C",)).run(known)["C"]
    assert got.dtype == np.int64 and np.array_equal(got, large @ (large - 1))


def test_several_outputs_are_assigned_one_by_one() -> None:
    program = parse("half = A // 2\nC = half + B\nD = half - B", NAMES, ("C", "D"))
    results = program.run(NAMES)
    assert sorted(results) == ["C", "D"] and np.array_equal(results["D"], A // 2 - B)


HOSTILE = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "A.__class__",
    "A.tofile('x')",
    "A.dump('x')",
    "np.load('x.npy')",
    "np.fromfile('/etc/passwd')",
    "np.lib.npyio",
    "np.f2py",
    "np.memmap('x')",
    "np.ctypeslib",
    "np.save('x', A)",
    "np.vectorize(A)",
    "np.fromfunction(A, 3)",
    "np.__loader__",
    "getattr(np, 'load')('x')",
    "eval('1')",
    "open('/etc/passwd').read()",
    "(lambda: A)()",
    "[x for x in A]",
    "{'a': A}",
    "f'{A}'",
    "A if M else B",
    "A and B",
    "M < N < 3",
    "(x := A)",
    "A.base",
    "A.data",
    "np.add.reduce(A)",
    "np.clip(A, out=B)",
    "np.sum(**A)",
    "np.matmul(*A)",
    "np",
    "np.clip",
    "numpy",
    "import os",
    "C = A; import os",
    "def f(): pass",
    "C, D = A, B",
    "A[0] = 1",
    "C = D = A",
    "C += 1",
    "A = B",
    "np = A",
    "_ = A",
    "b'x'",
    "1j",
    "while True: pass",
    "'a' * 1000000000",
    "\0",
    "A +",
    "",
    "C",
    "9**9**9**9" + "*9" * 4000,
    "(" * 3000 + "A" + ")" * 3000,
    "-" * 3900 + "A",
    "[" * 90 + "A" + "]" * 90,
    "+".join(["A"] * 900),
    "1 << 999999999999999999999999999",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24])
def test_what_is_not_a_formula_is_refused_in_plain_words(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert 5 < len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9**9**9", "exponent"),
        ("2 << 99", "shift"),
        ("M * 10**19 * 10**19", "2\\^64"),
        ("np.zeros((10**7, 10**7))", "too large"),
        ("A @ B[:3]", "ValueError"),
        ("A[9]", "IndexError"),
        ("A * 'x'", "no numbers"),
        ("A.astype('O')", "astype takes"),
        ("np.sum(A, dtype='O')", "takes no text"),
    ],
)
def test_what_fails_when_worked_out_says_why(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        value(text)


def test_an_error_names_the_line_and_what_is_known() -> None:
    with pytest.raises(ExpressionError, match=r"line 2: unknown name 'half'; known: .*M, N.*, np"):
        parse("total = A @ B\nC = half + 1", NAMES, ("C",))
    with pytest.raises(ExpressionError, match="nothing is assigned to D"):
        parse("C = A", NAMES, ("C", "D"))


def test_whole_numbers_of_dimensions() -> None:
    assert parse_integer("M * N // 2 + 1", {"M": 64, "N": 3}) == 97
    for text in ("M / 2", "True", "'4'"):
        with pytest.raises(ExpressionError, match="no whole number"):
            parse_integer(text, {"M": 4})


WORDS = """A B M N np np.clip np.sum np.full np.int8 C = + - * ** @ // << ( ) [ ] , : . .T .sum .astype .__class__ 9 0
1.5 'x' None axis lambda for import \0 é _"""
PIECES = st.sampled_from([" ", "\n", *re.split(r"[ \n]", WORDS)])


@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=14).map("".join)))
@settings(max_examples=600, deadline=None)
def test_whatever_is_written_ends_in_a_value_or_a_plain_error(text: str) -> None:
    with contextlib.suppress(ExpressionError), np.errstate(all="ignore"):
        value(text)
