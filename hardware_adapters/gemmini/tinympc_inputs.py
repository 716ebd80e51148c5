"""Data for TinyMPC's passes, and well-known mistakes in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .operators import InputSet

if TYPE_CHECKING:
    from .tinympc import TinyMpc

LARGE = 1000.0
ENTRIES_PER_ROW = 2


def draw_tinympc(problem: TinyMpc, rng: np.random.Generator) -> tuple[InputSet, ...]:
    """One draw of the three sets.

    full     entries uniform in ±1, those of matrices divided by the root of their row's length: products keep the size
             of the vectors, and the system does not run away over the horizon.
    sparse   two entries of ±1/2 in each row of a matrix: one wrong or missing product shows as itself.
    large    matrices as in full, vectors up to ±1000.
    """
    full = {t.name: _matrix(rng, t.name, t.shape) for t in problem.tensors if t.role == "input"}
    sparse = {name: _sparse(rng, name, data.shape) for name, data in full.items()}
    large = {
        t.name: _matrix(rng, t.name, t.shape) * np.float32(LARGE if t.name in VECTORS else 1)
        for t in problem.tensors
        if t.role == "input"
    }
    return InputSet("full", True, full), InputSet("sparse", False, sparse), InputSet("large", False, large)


VECTORS = ("x0", "d", "q", "r")  # or series of vectors


def _matrix(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    data = rng.uniform(-1, 1, shape)
    if name not in VECTORS:
        data /= np.sqrt(shape[-1])
    return _symmetric(name, data)


def _sparse(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name in VECTORS:
        return _matrix(rng, name, shape)
    data = np.zeros(shape)
    for row in data:
        chosen = rng.permutation(row.size)[:ENTRIES_PER_ROW]
        row[chosen] = rng.choice([-0.5, 0.5], chosen.size)
    return _symmetric(name, data)


def _symmetric(name: str, data: np.ndarray) -> np.ndarray:
    """Quu_inv is the inverse of a symmetric matrix."""
    return ((data + data.T) / 2 if name == "Quu_inv" else data).astype(np.float32)


def tinympc_mistakes(problem: TinyMpc, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    def changed(**data: np.ndarray) -> dict[str, np.ndarray]:
        return problem.expected({**inputs, **data})

    if problem.direction == "forward":
        a, b, k, d = (inputs[name] for name in ("A", "B", "K", "d"))
        yield "d is not subtracted in u", changed(d=d * 0)
        yield "d is added, not subtracted, in u", changed(d=-d)
        yield "K x is added, not subtracted, in u", changed(K=-k)
        yield "both terms of u lack their sign", changed(K=-k, d=-d)
        yield "B u is not added to the state", changed(B=b * 0)
        yield "A is used transposed", changed(A=a.T)
        yield "the state is not multiplied by A", changed(A=np.eye(len(a), dtype=a.dtype))
    else:
        q, r = inputs["q"], inputs["r"]
        yield "K' r is added, not subtracted, in p", changed(K=-inputs["K"])
        yield "K' r is left out of p", changed(K=inputs["K"] * 0)
        yield "AmBKt is used transposed", changed(AmBKt=inputs["AmBKt"].T)
        yield "r is left out", changed(r=r * 0)
        right = changed()
        yield "r is not added in d", {**right, "d": right["d"] - r @ inputs["Quu_inv"]}
        yield "q of the step after is added in p", changed(q=np.vstack([q[1:], q[-1:]]))
        own = (right["p"] @ inputs["B"] + r) @ inputs["Quu_inv"]
        yield "d is worked out from p of its own step, not of the step after", {**right, "d": own}
