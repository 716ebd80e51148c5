"""Elements in another order: two dimensions exchanged, across partitions or within each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .attention_kernels import HEAD
from .operators import PARTITIONS, TARGET, Closeness, Constant, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

TRANSPOSE, FREE = "transpose", "transpose2d"
TRANSPOSE_PATTERN = IdPattern(TARGET, TRANSPOSE, ("A", "B", "C"))
FREE_PATTERN = IdPattern(TARGET, FREE, ("P", "F1", "F2"))
MAX_FREE = 8192  # elements of a partition, twice

_TRANSPOSE_BASELINE = (
    HEAD
    + """

@nki.jit
def solution(x, dim=1):
    A, B, C = x.shape
    out = nl.ndarray((A, C, B), dtype=x.dtype, buffer=nl.shared_hbm)
    for a in range(A):
        for b in range(0, B, 128):
            rows = min(128, B - b)
            for c in range(0, C, 128):
                columns = min(128, C - c)
                tile = nl.ndarray((rows, columns), dtype=x.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=tile, src=x[a, b:b + rows, c:c + columns])
                flipped = nl.ndarray((columns, rows), dtype=x.dtype, buffer=nl.psum)
                nisa.nc_transpose(dst=flipped, data=tile)
                result = nl.ndarray((columns, rows), dtype=x.dtype, buffer=nl.sbuf)
                nisa.tensor_copy(dst=result, src=flipped)
                nisa.dma_copy(dst=out[a, c:c + columns, b:b + rows], src=result)
    return out
"""
)

_FREE_BASELINE = (
    HEAD
    + """

@nki.jit
def solution(x, shape2D):
    P, N = x.shape
    F1, F2 = shape2D
    out = nl.ndarray((P, N), dtype=x.dtype, buffer=nl.shared_hbm)
    for first in range(0, P, 128):
        rows = min(128, P - first)
        data = nl.ndarray((rows, N), dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=data, src=x[first:first + rows, 0:N])
        result = nl.ndarray((rows, N), dtype=x.dtype, buffer=nl.sbuf)
        for i in range(F1):
            for j in range(F2):
                nisa.tensor_copy(dst=result[:, j * F1 + i:j * F1 + i + 1], src=data[:, i * F2 + j:i * F2 + j + 1])
        nisa.dma_copy(dst=out[first:first + rows, 0:N], src=result)
    return out
"""
)


@dataclass(frozen=True)
class Transpose(Operator):
    """The last two dimensions exchanged; FREE: of a matrix in every row."""

    id: str
    family: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"

    @classmethod
    def of(cls, problem_id: str) -> Transpose:
        family = TRANSPOSE if problem_id.startswith(f"{TARGET}/{TRANSPOSE}-") else FREE
        dims, _ = (TRANSPOSE_PATTERN if family == TRANSPOSE else FREE_PATTERN).parse(problem_id)
        made = cls(problem_id, family, dims)
        check_size(made)
        if family == FREE and dims["F1"] * dims["F2"] > MAX_FREE:
            raise UnknownProblemError(problem_id, f"F1 x F2 is at most {MAX_FREE}")
        return made

    @property
    def title(self) -> str:
        a, b, c = self.dims.values()
        what = "matrices" if self.family == TRANSPOSE else "partitions"
        return f"Transpose of {a} {what} of {b} x {c}"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        a, b, c = self.dims.values()
        if self.family == TRANSPOSE:
            return tensors(self.dtype, {"x": (a, b, c)}, {"out": (a, c, b)})
        return tensors(self.dtype, {"x": (a, b * c)}, {"out": (a, b * c)})

    @property
    def constants(self) -> Mapping[str, Constant]:
        if self.family == TRANSPOSE:
            return {"dim": 1}
        return {"shape2D": (self.dims["F1"], self.dims["F2"])}

    @property
    def semantics(self) -> str:
        if self.family == TRANSPOSE:
            return "out[a][c][b] = x[a][b][c]"
        return (
            "a row of x is a matrix of F1 rows and F2 columns, a row of out its transpose: "
            "out[p][j F1 + i] = x[p][i F2 + j]"
        )

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-4, 1e-2)

    @property
    def traits(self) -> tuple[str, ...]:
        extents = list(self.dims.values())
        tiled = extents[1:] if self.family == TRANSPOSE else extents[:1]
        return ("fp32", "movement", *(("ragged",) if any(n % PARTITIONS for n in tiled) else ()))

    @property
    def wide(self) -> str:
        return "the numbers -4096 to 4094 in turn"

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """In the input's type: nothing is computed."""
        x = inputs["x"]
        shape = tuple(self.dims.values())
        return {"out": x.reshape(shape).transpose(0, 2, 1).reshape(self.tensors[1].shape)}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        import numpy as np

        shape = self.tensors[0].shape
        places = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        return {"x": rng.standard_normal(shape, dtype=np.float32)}, {"x": places % 8191 - 4096}

    def baseline(self) -> str:
        return _TRANSPOSE_BASELINE if self.family == TRANSPOSE else _FREE_BASELINE
