"""Normalisations of rows: RMSNorm and LayerNorm."""

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

EPSILON = 1e-5
MAX_COLUMNS = 8192  # a row of float32 lies within one partition, several times
RMS, LAYER = "rmsnorm", "layernorm"
PATTERNS = {name: IdPattern(TARGET, name, ("R", "C")) for name in (RMS, LAYER)}

_LAYER_HEAD = """\
import nki
import nki.isa as nisa
import nki.language as nl

EPSILON = 1e-5


@nki.jit
def solution(x, gain, shift):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        data = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        factor = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=data, src=x[r:r + rows, 0:C])
        nisa.dma_copy(dst=factor, src=gain.broadcast(0, rows))
"""
_LAYER_BODY = """\
        offset = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=offset, src=shift.broadcast(0, rows))
        total = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_reduce(dst=total, op=nl.add, data=data, axis=1)
        mean = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=mean, data=total, op0=nl.multiply, operand0=1.0 / C)
        centred = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=centred, data=data, op0=nl.subtract, operand0=mean)
        squares = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=squares, data1=centred, data2=centred, op=nl.multiply)
        power = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_reduce(dst=power, op=nl.add, data=squares, axis=1)
        variance = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=variance, data=power, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1=EPSILON)
        scale = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.activation(dst=scale, op=nl.rsqrt, data=variance)
        scaled = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=scaled, data=centred, op0=nl.multiply, operand0=scale)
        weighted = nl.ndarray((rows, C), dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=weighted, data1=scaled, data2=factor, op=nl.multiply)
        result = nl.ndarray((rows, C), dtype=out.dtype, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=result, data1=weighted, data2=offset, op=nl.add)
        nisa.dma_copy(dst=out[r:r + rows, 0:C], src=result)
    return out
"""


@dataclass(frozen=True)
class Norm(Operator):
    id: str
    family: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"

    @classmethod
    def of(cls, problem_id: str) -> Norm:
        name = LAYER if problem_id.startswith(f"{TARGET}/{LAYER}") else RMS
        dims, _ = PATTERNS[name].parse(problem_id)
        made = cls(problem_id, name, dims)
        check_size(made)
        if dims["C"] > MAX_COLUMNS:
            raise UnknownProblemError(problem_id, f"rows have at most {MAX_COLUMNS} elements")
        return made

    @property
    def title(self) -> str:
        name = "RMSNorm" if self.family == RMS else "LayerNorm"
        return f"{name} of {self.dims['R']} rows of {self.dims['C']}"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        rows, columns = self.dims.values()
        vectors = {"gain": (1, columns), **({"shift": (1, columns)} if self.family == LAYER else {})}
        return tensors(self.dtype, {"x": (rows, columns), **vectors}, {"out": (rows, columns)})

    @property
    def semantics(self) -> str:
        if self.family == RMS:
            return f"out[r][c] = x[r][c] / sqrt(mean over c of x[r][c]^2 + {EPSILON:g}) * gain[0][c]"
        return (
            f"out[r][c] = (x[r][c] - mean_r) / sqrt(var_r + {EPSILON:g}) * gain[0][c] + shift[0][c], mean and variance "
            "(divided by C) of each row"
        )

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-4, 1e-2) if self.family == RMS else Closeness(1e-3, 5e-3)

    @property
    def traits(self) -> tuple[str, ...]:
        ragged = self.dims["R"] % PARTITIONS
        return ("row_reduction", "fp32", *(("ragged",) if ragged else ()))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        x = inputs["x"].astype(np.float64)
        if self.family == LAYER:
            x = x - x.mean(axis=1, keepdims=True)
        scaled = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + EPSILON)
        shift = inputs["shift"].astype(np.float64) if self.family == LAYER else 0.0
        return {"out": scaled * inputs["gain"].astype(np.float64) + shift}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        rows, columns = self.dims.values()

        def vectors() -> dict[str, Array]:
            found = {"gain": rng.uniform(0.5, 1.5, (1, columns)) * rng.choice([-1.0, 1.0], (1, columns))}
            return found | ({"shift": rng.standard_normal((1, columns))} if self.family == LAYER else {})

        scales = rng.uniform(0.1, 5.0, (rows, 1))
        return (
            {"x": rng.standard_normal((rows, columns)), **vectors()},
            {"x": rng.standard_normal((rows, columns)) * scales + rng.uniform(-2, 2, (rows, 1)), **vectors()},
        )

    def baseline(self) -> str:
        if self.family == LAYER:
            return _LAYER_HEAD + _LAYER_BODY
        from .tuner.rmsnorm import NormSchedule, emit

        return emit(self, NormSchedule().fitted(self))
