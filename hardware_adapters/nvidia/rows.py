"""Rows of a matrix, each by itself: softmax, LayerNorm, running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..problems import IdPattern
from .operators import TARGET, Operator, Right, check_size
from .parts import Part, some

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

SOFTMAX, LAYERNORM, CUMSUM = "softmax", "layernorm", "cumsum"
PATTERNS = {name: IdPattern(TARGET, name, ("R", "C")) for name in (SOFTMAX, LAYERNORM, CUMSUM)}
EPSILON = 1e-5
TILE = 32
FAR = 100.0  # exp leaves float32 at 88.7, and at -104 there is nothing left of it
STRAINED = 0.1  # of the rows, in each of three ways
# Operations per element that no kernel does without: an exponential counts as one.
_WORK = {SOFTMAX: 4, LAYERNORM: 6, CUMSUM: 1}
_TITLES = {SOFTMAX: "Softmax", LAYERNORM: "LayerNorm", CUMSUM: "Running sums"}


@dataclass(frozen=True)
class Rows(Operator):
    id: str
    family: str
    dims: dict[str, int] = field(hash=False)

    @classmethod
    def of(cls, problem_id: str) -> Rows:
        family = next((name for name in PATTERNS if problem_id.startswith(f"{TARGET}/{name}-")), SOFTMAX)
        dims, _ = PATTERNS[family].parse(problem_id)
        made = cls(problem_id, family, dims)
        check_size(made)
        return made

    @property
    def title(self) -> str:
        return f"{_TITLES[self.family]} of {self.dims['R']} rows of {self.dims['C']}"

    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        whole = (dims["R"], dims["C"])
        vectors = {"gain": whole[1:], "shift": whole[1:]} if self.family == LAYERNORM else {}
        return {"x": whole, **vectors}, {"out": whole}

    @property
    def semantics(self) -> str:
        return {
            SOFTMAX: "out[r][c] = exp(x[r][c] - max_r) / sum over c of exp(x[r][c] - max_r), max_r of the row",
            LAYERNORM: f"out[r][c] = (x[r][c] - mean_r) / sqrt(var_r + {EPSILON:g}) * gain[c] + shift[c], mean and "
            "variance (divided by C) of the row",
            CUMSUM: "out[r][c] = x[r][0] + … + x[r][c]",
        }[self.family]

    @property
    def flops(self) -> int:
        return _WORK[self.family] * self.dims["R"] * self.dims["C"]

    @property
    def traits(self) -> tuple[str, ...]:
        kind = "scan" if self.family == CUMSUM else "row_reduction"
        passes = ("several_passes",) if self.family != CUMSUM else ()
        return (kind, *passes, "reads_once", *(("ragged",) if self.dims["C"] % TILE else ()))

    @property
    def tiny(self) -> dict[str, int]:
        return {"R": 32, "C": 1024}

    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        rows, columns = (int(2 * size + 1) for size in rng.integers((20, 140), (60, 300)))
        return {"R": rows, "C": columns}, {"R": 3, "C": 7 * columns}, {"R": columns, "C": 1}

    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        rows, columns = dims["R"], dims["C"]
        x = rng.standard_normal((rows, columns)) * rng.uniform(0.5, 3.0, (rows, 1))
        if self.family == CUMSUM:
            return {"x": x}
        x += rng.uniform(-2.0, 2.0, (rows, 1))
        if self.family == SOFTMAX:
            return {"x": x}
        gain = rng.uniform(0.5, 1.5, columns) * rng.choice([-1.0, 1.0], columns)
        return {"x": x, "gain": gain, "shift": rng.standard_normal(columns)}

    @property
    def extremes(self) -> str:
        return "; some rows have all values, or one of them, where exp overflows" if self.family == SOFTMAX else ""

    def strain(self, rng: np.random.Generator, inputs: dict[str, Array]) -> None:
        if self.family != SOFTMAX:
            return
        x = inputs["x"]
        kind = rng.random(x.shape[0]) // STRAINED
        x[kind == 0] += FAR
        x[kind == 1] -= 1.25 * FAR
        (alone,) = (kind == 2).nonzero()
        x[alone, rng.integers(x.shape[1], size=alone.size)] += FAR

    def part(self, rng: np.random.Generator) -> Part:
        rows = some(rng, self.dims["R"], 8)
        vectors = {name: (None,) for name in ("gain", "shift")} if self.family == LAYERNORM else {}
        return Part({"x": (rows, None), **vectors}, {"out": (rows, None)})

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]:
        import numpy as np

        x = inputs["x"].astype(np.float64)
        if self.family == CUMSUM:
            return {"out": Right(x.cumsum(axis=1), np.sqrt((x * x).cumsum(axis=1)))}
        if self.family == SOFTMAX:
            powers = np.exp(x - x.max(axis=1, keepdims=True))
            values = powers / powers.sum(axis=1, keepdims=True)
            return {"out": Right(values, values + 1e-6 * values.max(axis=1, keepdims=True))}
        centred = x - x.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
        gain, shift = (inputs[name].astype(np.float64) for name in ("gain", "shift"))
        values = centred / deviation * gain + shift
        return {"out": Right(values, (1.0 + np.abs(x) / deviation) * np.abs(gain) + np.abs(shift))}
