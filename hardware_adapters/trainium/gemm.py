"""Matrix products: out = a_t.T @ b, the left operand given transposed, as the Tensor engine wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor
from ..problems import IdPattern
from .operators import TARGET, Closeness, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "gemm"
PATTERN = IdPattern(TARGET, FAMILY, ("M", "N", "K"), ("bf16",))

_BASELINE = """\
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    _, N = b.shape
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    for m in range(0, M, 128):
        rows = min(128, M - m)
        for n in range(0, N, 512):
            columns = min(512, N - n)
            sums = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.psum)
            for k in range(0, K, 128):
                depth = min(128, K - k)
                left = nl.ndarray((depth, rows), dtype=a_t.dtype, buffer=nl.sbuf)
                right = nl.ndarray((depth, columns), dtype=b.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=left, src=a_t[k:k + depth, m:m + rows])
                nisa.dma_copy(dst=right, src=b[k:k + depth, n:n + columns])
                nisa.nc_matmul(dst=sums, stationary=left, moving=right)
            result = nl.ndarray((rows, columns), dtype=out.dtype, buffer=nl.sbuf)
            nisa.tensor_copy(dst=result, src=sums)
            nisa.dma_copy(dst=out[m:m + rows, n:n + columns], src=result)
    return out
"""


@dataclass(frozen=True)
class Gemm(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"
    family: str = FAMILY

    @classmethod
    def of(cls, problem_id: str) -> Gemm:
        dims, options = PATTERN.parse(problem_id)
        made = cls(problem_id, dims, "bfloat16" if options.get("bf16") else "float32")
        check_size(made)
        return made

    @property
    def title(self) -> str:
        m, n, k = self.dims.values()
        return f"Product {m} x {n} over {k}, {self.dtype}"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        m, n, k = self.dims.values()
        return tensors(self.dtype, {"a_t": (k, m), "b": (k, n)}, {"out": (m, n)})

    @property
    def semantics(self) -> str:
        return "out[m][n] = sum over k of a_t[k][m] * b[k][n]: the left operand comes transposed, K first"

    @property
    def closeness(self) -> Closeness:
        # bfloat16 has 8 bits: rounding the result alone takes up to 0.4 %.
        return Closeness(1e-2, 1e-3 if self.dtype == "float32" else 1e-2)

    @property
    def macs(self) -> int:
        m, n, k = self.dims.values()
        return m * n * k

    @property
    def traits(self) -> tuple[str, ...]:
        ragged = any(self.dims[name] % size for name, size in (("M", 128), ("N", 512), ("K", 128)))
        return ("matmul", *(("ragged",) if ragged else ()), *(("bf16",) if self.dtype == "bfloat16" else ("fp32",)))

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        return {"out": inputs["a_t"].astype(np.float64).T @ inputs["b"].astype(np.float64)}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        m, n, k = self.dims.values()
        normal = {"a_t": rng.standard_normal((k, m)) / k**0.5, "b": rng.standard_normal((k, n))}
        wide = {"a_t": rng.uniform(-1, 1, (k, m)) / k**0.5 + 0.5 / k, "b": rng.uniform(-2, 2, (k, n)) + 0.25}
        return normal, wide

    def baseline(self) -> str:
        return _BASELINE
