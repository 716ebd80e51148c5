"""Recognising well-known mistakes from the wrong result they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..checking import agreeing
from .operators import InputSet, Operator
from .problems import Gemm

# A supposed mistake must explain nearly all of the wrong elements; a few may be spoilt by something else.
EXPLAINED = 0.98
MAX_MACS = 1 << 28
TILE = 16
SAMPLED_ROWS = 16


def explain_mistake(operator: Operator, chosen: InputSet, output: str, got: np.ndarray, expected: np.ndarray) -> str:
    """One clause naming the mistake that would give exactly these values of an output, or an empty string."""
    wrong = ~agreeing(got, expected, operator.closeness)
    if not wrong.any() or (operator.macs or 0) > MAX_MACS:
        return ""
    for clause, results in operator.mistakes(chosen.inputs):
        result = results[output]
        same = agreeing(got, result, operator.closeness)
        if (
            not agreeing(result, expected, operator.closeness).all()
            and same[wrong].mean() >= EXPLAINED
            and same.mean() >= EXPLAINED
        ):
            return clause
    return lost_products(operator, chosen, got, wrong) if isinstance(operator, Gemm) else ""


def gemm_mistakes(gemm: Gemm, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    a, b = inputs["A"], inputs["B"]
    yield "values wrap around instead of saturating to -128..127", _wrapped(gemm, inputs)
    if gemm.relu:
        yield "ReLU is missing: give RELU to config_st_ext", gemm._replace(relu=False).reference(inputs)
    if gemm.shift:
        yield "the accumulator scale is missing: give it to config_st_ext", gemm._replace(shift=0).reference(inputs)
    if gemm.bias:
        yield "D is not added", gemm._replace(bias=None).reference(inputs)
        first_row = {**inputs, "D": np.broadcast_to(inputs["D"][:1], inputs["D"].shape)}
        if gemm.bias == "biasmat":
            yield "the first row of D is added everywhere: the stride of D's config_ld is 0", gemm.reference(first_row)
    for depth in (TILE, 2 * TILE, 4 * TILE, 8 * TILE, 16 * TILE):
        if gemm.k <= depth:
            break
        kept = (gemm.k - 1) // depth * depth
        last = {**inputs, "A": np.where(np.arange(gemm.k) >= kept, a, 0).astype(np.int8)}
        bare = gemm._replace(bias=None)
        yield (
            f"only the last {gemm.k - kept} of {gemm.k} products are summed: the accumulate bit (ACCADD) is missing",
            bare.reference(last),
        )
        cut = {**inputs, "A": np.where(np.arange(gemm.k) < kept, a, 0).astype(np.int8)}
        yield f"the last {gemm.k - kept} of the {gemm.k} products are left out", gemm.reference(cut)
        if depth == TILE:
            rest = {**inputs, "A": np.where(np.arange(gemm.k) >= depth, a, 0).astype(np.int8)}
            yield f"the first {depth} of the {gemm.k} products are left out", gemm.reference(rest)
    if gemm.k == gemm.n:
        yield "B is used transposed", gemm.reference({**inputs, "B": np.ascontiguousarray(b.T)})
    if gemm.k == gemm.m:
        yield "A is used transposed", gemm.reference({**inputs, "A": np.ascontiguousarray(a.T)})


def lost_products(gemm: Gemm, chosen: InputSet, got: np.ndarray, wrong: np.ndarray) -> str:
    """Which products are missing from the sums, where it is the same range of k in every wrong element; multiples of
    the tile are tried, on a few of the rows that have wrong elements."""
    rows = np.flatnonzero(wrong.any(axis=1))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED_ROWS)).astype(int)]
    few, wrong, got = gemm._replace(m=len(rows)), wrong[rows], got[rows]
    inputs = {**chosen.inputs, "A": chosen.inputs["A"][rows]}
    if gemm.bias == "biasmat":
        inputs["D"] = inputs["D"][rows]
    marks = range(0, gemm.k, TILE)
    missing = [(0, end) for end in marks[1:]] + [(start, gemm.k) for start in marks[1:]]
    missing += [(start, start + width) for width in (TILE, 2 * TILE, 4 * TILE) for start in marks[1:]]
    for start, end in missing:
        k = np.arange(gemm.k)
        kept = np.where((k < start) | (k >= end), inputs["A"], 0).astype(np.int8)
        if (few.reference({**inputs, "A": kept})[wrong] == got[wrong]).mean() >= EXPLAINED:
            why = "an ACC where ACCADD is needed overwrote them" if start == 0 else "they were not added"
            return f"the products of k = {start}..{min(end, gemm.k) - 1} are missing: {why}"
    return ""


def _wrapped(gemm: Gemm, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The result without saturation: the low 8 bits of the (shifted, activated) sum."""
    total = np.matmul(inputs["A"].astype(np.float64), inputs["B"].astype(np.float64)).astype(np.int64)
    if gemm.bias:
        total += inputs["D"]
    scaled = np.rint(total / 2.0**gemm.shift).astype(np.int64)
    if gemm.relu:
        scaled = np.maximum(scaled, 0)
    return scaled.astype(np.int8)
