"""Recurrences along rows: Mamba's selective scan, and running sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .operators import PARTITIONS, TARGET, Closeness, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

MAMBA, CUMSUM = "mamba", "cumsum"
MAMBA_PATTERN = IdPattern(TARGET, MAMBA, ("C", "S", "N"))
CUMSUM_PATTERN = IdPattern(TARGET, CUMSUM, ("R", "C"))
MAX_LENGTH = 4096  # of a row; a dozen of them lie in a partition

_MAMBA_BASELINE = """\
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(delta, u, a, b, c):
    C, S = delta.shape
    _, N = a.shape
    out = nl.ndarray((C, S), dtype=delta.dtype, buffer=nl.shared_hbm)
    for first in range(0, C, 128):
        rows = min(128, C - first)
        total = nl.zeros((rows, S), dtype=nl.float32, buffer=nl.sbuf)
        for n in range(N):
            step = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            data = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            rate = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
            into = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            back = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=step, src=delta[first:first + rows, 0:S])
            nisa.dma_copy(dst=data, src=u[first:first + rows, 0:S])
            nisa.dma_copy(dst=rate, src=a[first:first + rows, n:n + 1])
            nisa.dma_copy(dst=into, src=b[n:n + 1, 0:S].broadcast(0, rows))
            nisa.dma_copy(dst=back, src=c[n:n + 1, 0:S].broadcast(0, rows))
            decay = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.activation(dst=decay, op=nl.exp, data=step, scale=rate)
            moved = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=moved, data1=step, data2=data, op=nl.multiply)
            driven = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=driven, data1=moved, data2=into, op=nl.multiply)
            state = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor_scan(dst=state, data0=decay, data1=driven, initial=0.0, op0=nl.multiply, op1=nl.add)
            seen = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=seen, data1=state, data2=back, op=nl.multiply)
            nisa.tensor_tensor(dst=total, data1=total, data2=seen, op=nl.add)
        nisa.dma_copy(dst=out[first:first + rows, 0:S], src=total)
    return out
"""
_CUMSUM_BASELINE = """\
import nki
import nki.isa as nisa
import nki.language as nl

WIDTH = 128


@nki.jit
def solution(x):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        carry = nl.zeros((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        for c in range(0, C, WIDTH):
            width = min(WIDTH, C - c)
            data = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=data, src=x[r:r + rows, c:c + width])
            ones = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
            nisa.memset(dst=ones, value=1.0)
            sums = nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor_scan(dst=sums, data0=ones, data1=data, initial=carry, op0=nl.multiply, op1=nl.add)
            nisa.tensor_copy(dst=carry, src=sums[:, width - 1:width])
            nisa.dma_copy(dst=out[r:r + rows, c:c + width], src=sums)
    return out
"""


def _check(operator: Operator, length: int) -> None:
    check_size(operator)
    if length > MAX_LENGTH:
        raise UnknownProblemError(operator.id, f"rows have at most {MAX_LENGTH} elements")


@dataclass(frozen=True)
class Mamba(Operator):
    """Dimensions: channels C, sequence S, states N; a batch of one."""

    id: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"
    family: str = MAMBA

    @classmethod
    def of(cls, problem_id: str) -> Mamba:
        dims, _ = MAMBA_PATTERN.parse(problem_id)
        made = cls(problem_id, dims)
        _check(made, dims["S"])
        return made

    @property
    def title(self) -> str:
        c, s, n = self.dims.values()
        return f"Mamba scan: {c} channels, {s} steps, {n} states"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        c, s, n = self.dims.values()
        inputs = {"delta": (c, s), "u": (c, s), "a": (c, n), "b": (n, s), "c": (n, s)}
        return tensors(self.dtype, inputs, {"out": (c, s)})

    @property
    def semantics(self) -> str:
        return (
            "h[i][n][t] = exp(delta[i][t] * a[i][n]) * h[i][n][t-1] + delta[i][t] * u[i][t] * b[n][t], h before the "
            "first t is 0; out[i][t] = sum over n of c[n][t] * h[i][n][t]"
        )

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-3, 1e-3)

    @property
    def exponentials(self) -> int:
        c, s, n = self.dims.values()
        return c * s * n // PARTITIONS

    @property
    def traits(self) -> tuple[str, ...]:
        return ("scan", "fp32", *(("ragged",) if self.dims["C"] % PARTITIONS else ()))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        delta, u, a, b, c = (inputs[name].astype(np.float64) for name in ("delta", "u", "a", "b", "c"))
        state = np.zeros(a.shape)
        out = np.empty(delta.shape)
        for t in range(delta.shape[1]):
            state = np.exp(delta[:, t : t + 1] * a) * state + (delta[:, t] * u[:, t])[:, None] * b[:, t]
            out[:, t] = state @ c[:, t]
        return {"out": out}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        c, s, n = self.dims.values()

        def drawn(scale: float) -> dict[str, Array]:
            return {
                "delta": rng.uniform(0.01, 0.6, (c, s)),
                "u": rng.standard_normal((c, s)) * scale,
                "a": -rng.uniform(0.2, 2.0, (c, n)),
                "b": rng.standard_normal((n, s)),
                "c": rng.standard_normal((n, s)),
            }

        return drawn(1.0), drawn(3.0)

    def baseline(self) -> str:
        return _MAMBA_BASELINE


@dataclass(frozen=True)
class Cumsum(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"
    family: str = CUMSUM

    @classmethod
    def of(cls, problem_id: str) -> Cumsum:
        dims, _ = CUMSUM_PATTERN.parse(problem_id)
        made = cls(problem_id, dims)
        _check(made, dims["C"])
        return made

    @property
    def title(self) -> str:
        return f"Running sums of {self.dims['R']} rows of {self.dims['C']}"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        shape = tuple(self.dims.values())
        return tensors(self.dtype, {"x": shape}, {"out": shape})

    @property
    def semantics(self) -> str:
        return "out[r][c] = x[r][0] + ... + x[r][c]"

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-3, 1e-3)

    @property
    def traits(self) -> tuple[str, ...]:
        return ("scan", "fp32", *(("ragged",) if self.dims["R"] % PARTITIONS else ()))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        return {"out": inputs["x"].astype(np.float64).cumsum(axis=1)}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        shape = tuple(self.dims.values())
        return {"x": rng.standard_normal(shape)}, {"x": rng.uniform(-1, 1.2, shape)}

    def baseline(self) -> str:
        return _CUMSUM_BASELINE
