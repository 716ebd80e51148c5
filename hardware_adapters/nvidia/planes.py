"""What moves over a matrix or an image: column sums, transposition, depthwise 3x3 convolution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..problems import IdPattern
from .operators import TARGET, Operator, Right, check_size
from .parts import Part, some

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

COLSUM, TRANSPOSE, DWCONV = "colsum", "transpose", "dwconv3x3"
PATTERNS = {
    COLSUM: IdPattern(TARGET, COLSUM, ("R", "C")),
    TRANSPOSE: IdPattern(TARGET, TRANSPOSE, ("R", "C")),
    DWCONV: IdPattern(TARGET, DWCONV, ("N", "C", "H", "W")),
}
TILE = 32


@dataclass(frozen=True)
class Matrix(Operator):
    """Column sums or the transposed matrix."""

    id: str
    family: str
    dims: dict[str, int] = field(hash=False)

    @classmethod
    def of(cls, problem_id: str) -> Matrix:
        family = TRANSPOSE if problem_id.startswith(f"{TARGET}/{TRANSPOSE}") else COLSUM
        dims, _ = PATTERNS[family].parse(problem_id)
        made = cls(problem_id, family, dims)
        check_size(made)
        return made

    @property
    def title(self) -> str:
        size = f"{self.dims['R']} x {self.dims['C']}"
        return f"Transpose {size}" if self.family == TRANSPOSE else f"Column sums of {size}"

    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        rows, columns = dims["R"], dims["C"]
        return {"x": (rows, columns)}, {"out": (columns, rows) if self.family == TRANSPOSE else (columns,)}

    @property
    def semantics(self) -> str:
        return "out[c][r] = x[r][c]" if self.family == TRANSPOSE else "out[c] = sum over r of x[r][c]"

    @property
    def closeness(self) -> float:
        return 0.0 if self.family == TRANSPOSE else 4e-5

    @property
    def flops(self) -> int:
        return 0 if self.family == TRANSPOSE else self.dims["R"] * self.dims["C"]

    @property
    def traits(self) -> tuple[str, ...]:
        kind = "permutes" if self.family == TRANSPOSE else "column_reduction"
        return (kind, "reads_once", *(("ragged",) if any(size % TILE for size in self.dims.values()) else ()))

    @property
    def tiny(self) -> dict[str, int]:
        return {"R": 128, "C": 256}

    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        rows, columns = (int(2 * size + 1) for size in rng.integers((65, 33), (100, 64)))
        return {"R": rows, "C": columns}, {"R": 1, "C": 3 * columns}, {"R": 5 * rows, "C": 1}

    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        rows, columns = dims["R"], dims["C"]
        return {"x": rng.standard_normal((rows, columns)) * rng.uniform(0.5, 2.0, (rows, 1))}

    def rows_of(self, inputs: Mapping[str, Array], rows: Array) -> dict[str, Array]:
        return {"x": inputs["x"][:, rows]}

    def part(self, rng: np.random.Generator) -> Part:
        columns = some(rng, self.dims["C"], 32)
        return Part({"x": (None, columns)}, {"out": (columns, None) if self.family == TRANSPOSE else (columns,)})

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]:
        import numpy as np

        x = inputs["x"].astype(np.float64)
        if self.family == TRANSPOSE:
            return {"out": Right(x.T, np.zeros_like(x.T))}
        return {"out": Right(x.sum(axis=0), np.sqrt((x * x).sum(axis=0)))}


@dataclass(frozen=True)
class DepthwiseConv(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    family: str = DWCONV

    @classmethod
    def of(cls, problem_id: str) -> DepthwiseConv:
        dims, _ = PATTERNS[DWCONV].parse(problem_id)
        made = cls(problem_id, dims)
        check_size(made)
        return made

    @property
    def title(self) -> str:
        n, c, h, w = self.dims.values()
        return f"Depthwise 3x3 convolution of {n} x {c} images of {h} x {w}"

    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        images = (dims["N"], dims["C"], dims["H"], dims["W"])
        return {"x": images, "weights": (dims["C"], 3, 3)}, {"out": images}

    @property
    def semantics(self) -> str:
        return (
            "out[n][c][y][x'] = sum over i, j in 0..2 of x[n][c][y + i - 1][x' + j - 1] * weights[c][i][j]; "
            "zero outside of the image"
        )

    @property
    def macs(self) -> int:
        return 9 * math.prod(self.dims.values())

    @property
    def flops(self) -> int:
        # Winograd's F(4x4, 3x3) does with a quarter of the multiplications.
        return self.macs // 2

    @property
    def spot_rows(self) -> int:
        return 2

    @property
    def traits(self) -> tuple[str, ...]:
        return ("stencil", *(("ragged",) if any(self.dims[name] % TILE for name in "HW") else ()))

    @property
    def tiny(self) -> dict[str, int]:
        return {"N": 1, "C": 2, "H": 64, "W": 64}

    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        height, width = (int(2 * size + 1) for size in rng.integers((17, 17), (40, 40)))
        return (
            {"N": 2, "C": 3, "H": height, "W": width},
            {"N": 1, "C": 5, "H": 1, "W": width},
            {"N": 3, "C": 1, "H": height, "W": 1},
        )

    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        n, c, h, w = dims["N"], dims["C"], dims["H"], dims["W"]
        scales = rng.uniform(0.5, 2.0, (n, c, 1, 1))
        return {"x": rng.standard_normal((n, c, h, w)) * scales, "weights": rng.standard_normal((c, 3, 3))}

    def part(self, rng: np.random.Generator) -> Part:
        image, channel = some(rng, self.dims["N"], 1), some(rng, self.dims["C"], 1)
        plane = (image, channel, None, None)
        return Part({"x": plane, "weights": (channel, None, None)}, {"out": plane})

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]:
        import numpy as np

        x, weights = (inputs[name].astype(np.float64) for name in ("x", "weights"))
        _, _, height, width = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        values, squares = np.zeros_like(x), np.zeros_like(x)
        for i in range(3):
            for j in range(3):
                term = padded[:, :, i : i + height, j : j + width] * weights[None, :, i, j, None, None]
                values += term
                squares += term * term
        return {"out": Right(values, np.sqrt(squares))}
