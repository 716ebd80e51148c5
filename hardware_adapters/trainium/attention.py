"""Attention of one head, every query with every key: as the public tutorial has it, and as Stable Diffusion does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .attention_kernels import ATTENTION, SD_ATTENTION
from .operators import PARTITIONS, TARGET, Closeness, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

PLAIN, STABLE_DIFFUSION = "attention", "sdattention"
PLAIN_PATTERN = IdPattern(TARGET, PLAIN, ("S", "D"), ("bf16",))
SD_PATTERN = IdPattern(TARGET, STABLE_DIFFUSION, ("S", "D"))
MAX_LENGTH = 8192
# Standard deviation of the scores: as in the public harness; and so small that 8 bits of a score are enough.
DEVIATION = {PLAIN: 3.77, STABLE_DIFFUSION: 1.5}
TOP = 128.0  # a score whose exponential float32 does not hold


@dataclass(frozen=True)
class Attention(Operator):
    """`family` decides the layout: PLAIN has q, k and v with a column per position, and no scale."""

    id: str
    family: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"

    @classmethod
    def of(cls, problem_id: str) -> Attention:
        plain = problem_id.startswith(f"{TARGET}/{PLAIN}-")
        dims, options = (PLAIN_PATTERN if plain else SD_PATTERN).parse(problem_id)
        family = PLAIN if plain else STABLE_DIFFUSION
        made = cls(problem_id, family, dims, "bfloat16" if options.get("bf16") else "float32")
        check_lengths(problem_id, dims["S"], dims["D"], MAX_LENGTH)
        check_size(made)
        return made

    @property
    def title(self) -> str:
        s, d = self.dims.values()
        return f"Attention of {s} positions, {d} wide" + ("" if self.family == PLAIN else ", scaled, row by row")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        s, d = self.dims.values()
        shape = (d, s) if self.family == PLAIN else (s, d)
        return tensors(self.dtype, {"q": shape, "k": shape, "v": shape}, {"out": (s, d)})

    @property
    def scale(self) -> float:
        return 1.0 if self.family == PLAIN else 1 / math.sqrt(self.dims["D"])

    @property
    def semantics(self) -> str:
        if self.family == PLAIN:
            return "out = softmax(q.T @ k, along the keys) @ v.T; a column of q, k and v is a position; no scale"
        return "out = softmax(q @ k.T / sqrt(D), along the keys) @ v; a row of q, k and v is a position"

    # The published kernels hand probabilities and values to the Tensor engine in bfloat16.
    demands_float32 = False

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-2, 1e-2)

    @property
    def macs(self) -> int:
        s, d = self.dims.values()
        return 2 * s * s * d

    @property
    def exponentials(self) -> int:
        return self.dims["S"] ** 2 // PARTITIONS

    @property
    def traits(self) -> tuple[str, ...]:
        return (
            "matmul",
            "row_reduction",
            "softmax",
            "bf16" if self.dtype == "bfloat16" else "fp32",
            *ragged(self.dims["S"]),
        )

    @property
    def wide(self) -> str:
        return "one key is every query's, with a score far beyond the range of exp; v with an offset"

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        q, k, v = (inputs[name].astype(np.float64) for name in ("q", "k", "v"))
        if self.family == PLAIN:
            q, k, v = q.T, k.T, v.T
        out = np.empty(q.shape)
        for first in range(0, len(q), 512):
            scores = q[first : first + 512] @ k.T * self.scale
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            out[first : first + 512] = weights @ v / weights.sum(axis=1, keepdims=True)
        return {"out": out}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        s, d = self.dims.values()
        spread = math.sqrt(3 * DEVIATION[self.family] / (math.sqrt(d) * self.scale))
        normal = {name: rng.uniform(-spread, spread, (s, d)) for name in ("q", "k")} | {"v": rng.uniform(-1, 1, (s, d))}
        keys = rng.choice((-1.0, 1.0), (s, d))
        peak = TOP / (d * self.scale)
        wide = {
            "q": peak * keys[rng.permutation(s)],
            "k": keys,
            "v": rng.uniform(-8, 8, (s, d)) + 1,
        }
        if self.family == PLAIN:
            normal, wide = ({name: values.T.copy() for name, values in each.items()} for each in (normal, wide))
        return normal, wide

    def baseline(self) -> str:
        return ATTENTION if self.family == PLAIN else SD_ATTENTION


def check_lengths(problem_id: str, length: int, width: int, longest: int) -> None:
    """Raises UnknownProblemError."""
    if not 1 <= width <= PARTITIONS or not 1 <= length <= longest:
        raise UnknownProblemError(problem_id, f"S is at most {longest}, D at most {PARTITIONS}")


def ragged(length: int) -> tuple[str, ...]:
    return ("ragged",) if length % PARTITIONS else ()
