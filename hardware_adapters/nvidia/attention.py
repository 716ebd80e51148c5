"""Attention: softmax of scaled scores, times values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import UnknownProblemError
from ..problems import IdPattern
from .operators import TARGET, Operator, Right, check_size
from .parts import Part, some

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "attention"
PATTERN = IdPattern(TARGET, FAMILY, ("B", "S", "D"))
MAX_GRID = 65535
TILE = 32
FAR = 120.0  # exp leaves float32 at 88.7
STRAINED = 0.2  # of the queries


@dataclass(frozen=True)
class Attention(Operator):
    """B heads (of all batches) of S positions of D numbers."""

    id: str
    dims: dict[str, int] = field(hash=False)
    family: str = FAMILY

    @classmethod
    def of(cls, problem_id: str) -> Attention:
        dims, _ = PATTERN.parse(problem_id)
        made = cls(problem_id, dims)
        check_size(made)
        if max(dims["B"], dims["S"]) > MAX_GRID:
            raise UnknownProblemError(problem_id, f"B and S are at most {MAX_GRID}")
        return made

    @property
    def title(self) -> str:
        b, s, d = self.dims.values()
        return f"Attention of {b} heads, {s} positions of {d}"

    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        whole = (dims["B"], dims["S"], dims["D"])
        return dict.fromkeys(("q", "k", "v"), whole), {"out": whole}

    @property
    def semantics(self) -> str:
        return (
            "p[b][s][t] = softmax over t of (sum over d of q[b][s][d] * k[b][t][d]) / sqrt(D); "
            "out[b][s][d] = sum over t of p[b][s][t] * v[b][t][d]; no mask"
        )

    @property
    def macs(self) -> int:
        return 2 * self.dims["B"] * self.dims["S"] ** 2 * self.dims["D"]

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def spot_rows(self) -> int:
        return 2

    def rows_of(self, inputs: Mapping[str, Array], rows: Array) -> dict[str, Array]:
        return {name: values[rows] for name, values in inputs.items()}

    @property
    def traits(self) -> tuple[str, ...]:
        ragged = any(self.dims[name] % TILE for name in "SD")
        return ("matmul", "attention", "row_reduction", *(("ragged",) if ragged else ()))

    @property
    def tiny(self) -> dict[str, int]:
        return {"B": 1, "S": 64, "D": 64}

    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        positions, width = (int(2 * size + 1) for size in rng.integers((33, 8), (48, 24)))
        return {"B": 2, "S": positions, "D": width}, {"B": 3, "S": 1, "D": width}, {"B": 1, "S": positions, "D": 1}

    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        whole = (dims["B"], dims["S"], dims["D"])
        q, k, v = (rng.standard_normal(whole) for _ in range(3))
        return {"q": q * rng.uniform(0.5, 3.0, (*whole[:2], 1)), "k": k, "v": v}

    @property
    def extremes(self) -> str:
        return "; some queries have a key whose score is beyond the range of exp"

    def strain(self, rng: np.random.Generator, inputs: dict[str, Array]) -> None:
        """One weight is nearly 1 there: what float32 makes of so large a score hardly shows in the result."""
        q, k = inputs["q"], inputs["k"]
        heads, queries = (rng.random(q.shape[:2]) < STRAINED).nonzero()
        q[heads, queries] = k[heads, rng.integers(q.shape[1], size=heads.size)] * (FAR / q.shape[2] ** 0.5)

    def part(self, rng: np.random.Generator) -> Part:
        head, queries = some(rng, self.dims["B"], 1), some(rng, self.dims["S"], 16)
        return Part(
            {"q": (head, queries, None), "k": (head, None, None), "v": (head, None, None)},
            {"out": (head, queries, None)},
        )

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]:
        import numpy as np

        q, k, v = (inputs[name].astype(np.float64) for name in ("q", "k", "v"))
        values, scale = np.empty_like(q), np.empty_like(q)
        for head in range(q.shape[0]):  # one head's scores at a time: all of them may not fit in memory
            scores = q[head] @ k[head].T / q.shape[2] ** 0.5
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            weights = powers / powers.sum(axis=1, keepdims=True)
            values[head] = weights @ v[head]
            # Errors of a score spread over its row: twice the terms of the sum.
            scale[head] = 2 * np.sqrt((weights**2) @ (v[head] ** 2)) + np.abs(values[head])
        return {"out": Right(values, scale)}
