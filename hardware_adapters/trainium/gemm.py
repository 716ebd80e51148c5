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
        from .tuner.gemm_emit import emit
        from .tuner.gemm_schedule import GemmSchedule

        return emit(self, GemmSchedule().fitted(self))
