"""Depthwise convolution along rows: every channel has a filter of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .operators import TARGET, Closeness, Constant, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "conv1d"
PATTERN = IdPattern(TARGET, FAMILY, ("N", "C", "W", "F"), ("same",))
MAX_WIDTH, MAX_FILTER = 8192, 64

_SAME_BASELINE = """\
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, weights, padding=None):
    N, C, H, W = x.shape
    F = weights.shape[3]
    left, right = padding[1]
    V = W + left + right - F + 1
    out = nl.ndarray((N, C, 1, V), dtype=x.dtype, buffer=nl.shared_hbm)
    for n in range(N):
        for c in range(0, C, 128):
            rows = min(128, C - c)
            taps = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=taps, src=weights[c:c + rows, 0, 0, 0:F])
            row = nl.zeros((rows, left + W + right), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=row[:, left:left + W], src=x[n, c:c + rows, 0, 0:W])
            for v in range(V):
                products = nl.ndarray((rows, F), dtype=nl.float32, buffer=nl.sbuf)
                nisa.tensor_tensor(dst=products, data1=row[:, v:v + F], data2=taps, op=nl.multiply)
                total = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
                nisa.tensor_reduce(dst=total, op=nl.add, data=products, axis=1)
                nisa.dma_copy(dst=out[n, c:c + rows, 0, v:v + 1], src=total)
    return out
"""


@dataclass(frozen=True)
class Conv1d(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    same: bool = False  # padded to the width of x; x, weights and out then have a height of 1
    dtype: str = "float32"
    family: str = FAMILY

    @classmethod
    def of(cls, problem_id: str) -> Conv1d:
        dims, options = PATTERN.parse(problem_id)
        made = cls(problem_id, dims, bool(options.get("same")))
        if dims["F"] > min(dims["W"], MAX_FILTER) or dims["W"] > MAX_WIDTH:
            raise UnknownProblemError(
                problem_id, f"the filter F has at most W and at most {MAX_FILTER} taps, W is at most {MAX_WIDTH}"
            )
        check_size(made)
        return made

    @property
    def title(self) -> str:
        n, c, w, f = self.dims.values()
        return f"Depthwise, {n} x {c} rows of {w}, {f} taps" + (", padded" if self.same else "")

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and after each row."""
        missing = self.dims["F"] - 1 if self.same else 0
        return missing // 2, missing - missing // 2

    @property
    def constants(self) -> Mapping[str, Constant]:
        return {"padding": ((0, 0), self.padding)} if self.same else {}

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        n, c, w, f = self.dims.values()
        if self.same:
            return tensors(self.dtype, {"x": (n, c, 1, w), "weights": (c, 1, 1, f)}, {"out": (n, c, 1, w)})
        return tensors(self.dtype, {"x": (n, c, w), "weights": (c, f)}, {"out": (n, c, w - f + 1)})

    @property
    def semantics(self) -> str:
        if self.same:
            left, right = self.padding
            return (
                f"out[n][c][0][w] = sum over f of x[n][c][0][w + f - {left}] * weights[c][0][0][f]; x is zero outside: "
                f"{left} to the left, {right} to the right, as the second pair of padding has it"
            )
        return "out[n][c][w] = sum over f of x[n][c][w + f] * weights[c][f], no padding"

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-4, 1e-2)

    @property
    def traits(self) -> tuple[str, ...]:
        return ("fp32", "taps", *(("ragged",) if self.dims["C"] % 128 else ()))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        n, c, w, f = self.dims.values()
        weights = inputs["weights"].astype(np.float64).reshape(c, f)
        rows = np.pad(inputs["x"].astype(np.float64).reshape(n, c, w), ((0, 0), (0, 0), self.padding))
        width = rows.shape[2] - f + 1
        out = np.zeros((n, c, width))
        for tap in range(f):
            out += rows[:, :, tap : tap + width] * weights[None, :, tap : tap + 1]
        return {"out": out.reshape(self.tensors[2].shape)}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        x, weights = (t.shape for t in self.tensors[:2])
        return (
            {"x": rng.standard_normal(x), "weights": rng.standard_normal(weights)},
            {"x": rng.uniform(-8, 8, x) + 1, "weights": rng.uniform(-1, 1, weights)},
        )

    def baseline(self) -> str:
        from .tuner.conv1d import ConvSchedule, emit

        return _SAME_BASELINE if self.same else emit(self, ConvSchedule().fitted(self))
