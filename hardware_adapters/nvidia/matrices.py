"""Products: SGEMM, GEMV, and a GEMM with scale and LeakyReLU behind it."""

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

SGEMM, GEMV, FUSED = "sgemm", "gemv", "gemm-scale-leakyrelu"
PATTERNS = {
    SGEMM: IdPattern(TARGET, SGEMM, ("M", "N", "K"), ("tf32",)),
    GEMV: IdPattern(TARGET, GEMV, ("M", "N")),
    FUSED: IdPattern(TARGET, FUSED, ("M", "N", "K")),
}
SCALE, SLOPE = 2.0, 0.1
TILE = 32


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """A x B in float64, and the root of the sum of squares of each element's terms."""
    import numpy as np

    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b, np.sqrt((a * a) @ (b * b))


def _rows(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Signed, each row with a scale of its own."""
    return rng.standard_normal((rows, columns)) * rng.uniform(0.5, 2.0, (rows, 1))


@dataclass(frozen=True)
class Gemm(Operator):
    """C = A x B, with `tf32` also from 10-bit mantissas; or, of family FUSED, scaled and through LeakyReLU."""

    id: str
    family: str
    dims: dict[str, int] = field(hash=False)
    tf32: bool = False

    @classmethod
    def of(cls, problem_id: str) -> Gemm:
        family = FUSED if problem_id.startswith(f"{TARGET}/{FUSED}") else SGEMM
        dims, options = PATTERNS[family].parse(problem_id)
        made = cls(problem_id, family, dims, bool(options.get("tf32")))
        check_size(made)
        return made

    @property
    def title(self) -> str:
        m, n, k = self.dims.values()
        if self.family == FUSED:
            return f"Product {m} x {n} over {k}, bias, scale, LeakyReLU"
        return f"Product {m} x {n} over {k}, {'TF32' if self.tf32 else 'float32'}"

    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        m, n, k = dims["M"], dims["N"], dims["K"]
        if self.family == FUSED:
            return {"x": (m, k), "w": (k, n), "bias": (n,)}, {"out": (m, n)}
        return {"A": (m, k), "B": (k, n)}, {"C": (m, n)}

    @property
    def semantics(self) -> str:
        if self.family == FUSED:
            return (
                f"a = {SCALE:g} (bias[n] + sum over k of x[m][k] * w[k][n]); out[m][n] = a if a > 0 else {SLOPE:g} a; "
                "all row-major"
            )
        return "C[m][n] = sum over k of A[m][k] * B[k][n]; all row-major"

    @property
    def closeness(self) -> float:
        return 4e-3 if self.tf32 else 4e-5

    @property
    def macs(self) -> int:
        m, n, k = self.dims.values()
        return m * n * k

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def tensor_cores(self) -> bool:
        return self.tf32

    @property
    def traits(self) -> tuple[str, ...]:
        ragged = any(size % TILE for size in self.dims.values())
        epilogue = ("epilogue",) if self.family == FUSED else ()
        return ("matmul", *epilogue, *(("tf32",) if self.tf32 else ()), *(("ragged",) if ragged else ()))

    @property
    def tiny(self) -> dict[str, int]:
        return {"M": 128, "N": 128, "K": 64}

    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        odd = [int(2 * size + 1) for size in rng.integers((64, 32, 8), (72, 48, 32))]
        return (
            {"M": odd[0], "N": odd[1], "K": odd[2]},
            {"M": odd[2], "N": odd[0], "K": 1},
            {"M": 1, "N": odd[2], "K": odd[1]},
        )

    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        m, n, k = dims["M"], dims["N"], dims["K"]
        left, right = _rows(rng, m, k), _rows(rng, k, n)
        if self.family == FUSED:
            return {"x": left, "w": right, "bias": rng.standard_normal(n) * max(1.0, k**0.5)}
        return {"A": left, "B": right}

    def part(self, rng: np.random.Generator) -> Part:
        rows, columns = some(rng, self.dims["M"], 16), some(rng, self.dims["N"], 32)
        if self.family == FUSED:
            return Part({"x": (rows, None), "w": (None, columns), "bias": (columns,)}, {"out": (rows, columns)})
        return Part({"A": (rows, None), "B": (None, columns)}, {"C": (rows, columns)})

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]:
        import numpy as np

        if self.family == SGEMM:
            return {"C": Right(*_product(inputs["A"], inputs["B"]))}
        values, scale = _product(inputs["x"], inputs["w"])
        bias = inputs["bias"].astype(np.float64)
        before = SCALE * (values + bias)
        terms = SCALE * np.sqrt(scale**2 + bias**2)
        return {"out": Right(np.where(before > 0, before, SLOPE * before), np.where(before > 0, terms, SLOPE * terms))}


@dataclass(frozen=True)
class Gemv(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    family: str = GEMV

    @classmethod
    def of(cls, problem_id: str) -> Gemv:
        dims, _ = PATTERNS[GEMV].parse(problem_id)
        made = cls(problem_id, dims)
        check_size(made)
        return made

    @property
    def title(self) -> str:
        m, n = self.dims.values()
        return f"Matrix {m} x {n} times a vector"

    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        return {"A": (dims["M"], dims["N"]), "v": (dims["N"],)}, {"y": (dims["M"],)}

    @property
    def semantics(self) -> str:
        return "y[m] = sum over n of A[m][n] * v[n]; A row-major"

    @property
    def macs(self) -> int:
        return self.dims["M"] * self.dims["N"]

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def traits(self) -> tuple[str, ...]:
        return ("row_reduction", "reads_once", *(("ragged",) if self.dims["N"] % TILE else ()))

    @property
    def tiny(self) -> dict[str, int]:
        return {"M": 64, "N": 1024}

    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        rows, columns = (int(2 * size + 1) for size in rng.integers((60, 140), (140, 300)))
        return {"M": rows, "N": columns}, {"M": 1, "N": 7 * columns}, {"M": columns, "N": 1}

    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        return {"A": _rows(rng, dims["M"], dims["N"]), "v": rng.standard_normal(dims["N"])}

    def part(self, rng: np.random.Generator) -> Part:
        rows = some(rng, self.dims["M"], 32)
        return Part({"A": (rows, None), "v": (None,)}, {"y": (rows,)})

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]:
        return {"y": Right(*_product(inputs["A"], inputs["v"]))}
