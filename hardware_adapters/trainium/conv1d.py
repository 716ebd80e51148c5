"""Depthwise convolution along rows: every channel has a filter of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .operators import TARGET, Closeness, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "conv1d"
PATTERN = IdPattern(TARGET, FAMILY, ("N", "C", "W", "F"))
MAX_WIDTH, MAX_FILTER = 8192, 64


@dataclass(frozen=True)
class Conv1d(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"
    family: str = FAMILY

    @classmethod
    def of(cls, problem_id: str) -> Conv1d:
        dims, _ = PATTERN.parse(problem_id)
        made = cls(problem_id, dims)
        if dims["F"] > min(dims["W"], MAX_FILTER) or dims["W"] > MAX_WIDTH:
            raise UnknownProblemError(
                problem_id, f"the filter F has at most W and at most {MAX_FILTER} taps, W is at most {MAX_WIDTH}"
            )
        check_size(made)
        return made

    @property
    def title(self) -> str:
        n, c, w, f = self.dims.values()
        return f"Depthwise, {n} x {c} rows of {w}, {f} taps"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        n, c, w, f = self.dims.values()
        return tensors(self.dtype, {"x": (n, c, w), "weights": (c, f)}, {"out": (n, c, w - f + 1)})

    @property
    def semantics(self) -> str:
        return "out[n][c][w] = sum over f of x[n][c][w + f] * weights[c][f], no padding"

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-4, 1e-2)

    @property
    def traits(self) -> tuple[str, ...]:
        return ("fp32", "taps", *(("ragged",) if self.dims["C"] % 128 else ()))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        x, weights = inputs["x"].astype(np.float64), inputs["weights"].astype(np.float64)
        width = self.dims["W"] - self.dims["F"] + 1
        out = np.zeros((*x.shape[:2], width))
        for tap in range(self.dims["F"]):
            out += x[:, :, tap : tap + width] * weights[None, :, tap : tap + 1]
        return {"out": out}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        n, c, w, f = self.dims.values()
        return (
            {"x": rng.standard_normal((n, c, w)), "weights": rng.standard_normal((c, f))},
            {"x": rng.uniform(-8, 8, (n, c, w)) + 1, "weights": rng.uniform(-1, 1, (c, f))},
        )

    def baseline(self) -> str:
        from .tuner.conv1d import ConvSchedule, emit

        return emit(self, ConvSchedule().fitted(self))
