"""The data that kernels are checked on, drawn so that a wrong kernel cannot look right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .operators import InputSet, Operator
from .problems import Gemm

# Standard deviation of the outputs of the `dense` set, out of -128..127.
DENSE_OUTPUT_DEVIATION = 40.0
# Below so many MACs chance alone could make a problem's outputs trivial; above, it cannot.
PROVEN_BELOW_MACS = 1 << 16
MAX_DRAWS = 200
SPARSE_ENTRIES_PER_COLUMN = 2.5


def input_sets(operator: Operator, rng: np.random.Generator) -> tuple[InputSet, ...]:
    """Data on which the problem proves itself: drawn again until it does (only tiny problems ever need it).

    Raises ValueError when no draw does; Operator.refused keeps such problems out.
    """
    for _ in range(MAX_DRAWS):
        sets = operator.draw(rng)
        if (operator.macs or 0) > PROVEN_BELOW_MACS or unproven(operator, sets) is None:
            return sets
    raise ValueError(f"{operator.id}: no input data on which {unproven(operator, operator.draw(rng))} would be noticed")


def unproven(operator: Operator, sets: Sequence[InputSet]) -> str | None:
    """The worthless kernel that these sets would let pass, or None: constants, copies, and leaving an input out."""
    expected = [operator.expected(chosen.inputs) for chosen in sets]
    outputs = {name: [result[name] for result in expected] for name in expected[0]}
    if all(len(np.unique(np.concatenate([r.ravel() for r in results]))) == 1 for results in outputs.values()):
        return "a constant"
    for name in sets[0].inputs:
        data = [chosen.inputs[name] for chosen in sets]
        if all(_is_copy(c, r) for results in outputs.values() for c, r in zip(data, results, strict=True)):
            return f"a copy of {name}"
        without = [operator.expected({**chosen.inputs, name: chosen.inputs[name] * 0}) for chosen in sets]
        if all(np.array_equal(w[out], r[out]) for w, r in zip(without, expected, strict=True) for out in outputs):
            return f"leaving {name} out"
    return None


def _is_copy(data: np.ndarray, result: np.ndarray) -> bool:
    return np.array_equal(np.resize(data.astype(result.dtype), result.shape), result)


def draw_gemm(gemm: Gemm, rng: np.random.Generator) -> tuple[InputSet, ...]:
    """One draw of the three sets of a GEMM.

    full     A, B uniform over int8, D over ±2^14: signs and saturation (about 99.9 % of the outputs saturate).
    sparse   A uniform over int8, B two or three ±1 per column (with a shift more and larger ones): outputs stay near
             the range, so that one wrong or missing product shows as itself.
    dense    every k takes part in the outputs; operands so small that a sum of K products has a standard deviation
             of about 40 after the shift.
    """
    a_shape, b_shape = (gemm.m, gemm.k), (gemm.k, gemm.n)
    full = {"A": uniform(rng, -128, 127, a_shape), "B": uniform(rng, -128, 127, b_shape)}
    sparse = {"A": uniform(rng, -128, 127, a_shape), "B": sparse_weights(rng, gemm.k, gemm.n, gemm.shift)}
    variance = dense_variance(gemm.k, gemm.shift)
    dense = {"A": small(rng, variance, a_shape), "B": small(rng, variance, b_shape)}
    if gemm.bias:
        shape = (gemm.n,) if gemm.bias == "bias" else (gemm.m, gemm.n)
        for inputs, reach in ((full, 1 << 14), (sparse, 64 << gemm.shift), (dense, 64 << gemm.shift)):
            inputs["D"] = rng.integers(-reach, reach, shape, dtype=np.int32, endpoint=True)
    return InputSet("full", True, full), InputSet("sparse", False, sparse), InputSet("dense", False, dense)


def dense_variance(depth: int, shift: int) -> float:
    """Variance of both operands that gives sums of `depth` products DENSE_OUTPUT_DEVIATION after the shift."""
    return DENSE_OUTPUT_DEVIATION * 2.0**shift / math.sqrt(depth)


def uniform(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(low, high, shape, dtype=np.int8, endpoint=True)


def small(rng: np.random.Generator, variance: float, shape: tuple[int, ...]) -> np.ndarray:
    """Symmetric integers of about this variance; below 2/3 (what -1, 0, 1 have) mostly zeros."""
    if variance < 2 / 3:
        signs = uniform(rng, 0, 1, shape) * 2 - 1
        return np.where(rng.random(shape, dtype=np.float32) < variance, signs, 0).astype(np.int8)
    reach = min(127, round((math.sqrt(1 + 12 * variance) - 1) / 2))
    return uniform(rng, -reach, reach, shape)


def sparse_weights(rng: np.random.Generator, depth: int, columns: int, shift: int) -> np.ndarray:
    """A few entries per column, spread evenly over the rows: with enough columns each row is met."""
    reach = min(127, 1 << shift)
    per_column = math.ceil(SPARSE_ENTRIES_PER_COLUMN * max(1.0, 2.0**shift / 127))
    per_column = min(per_column, depth)
    rounds = -(-columns * per_column // depth)
    rows = np.concatenate([rng.permutation(depth) for _ in range(rounds)])[: columns * per_column]
    where = np.repeat(np.arange(columns), per_column)
    values = rng.integers(1, reach, rows.size, dtype=np.int8, endpoint=True) * (rng.integers(0, 2, rows.size) * 2 - 1)
    weights = np.zeros((depth, columns), np.int8)
    weights[rows, where] = values
    return weights
