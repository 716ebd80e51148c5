"""Windows that slide over two dimensions: the maximum of each, and convolutions over all channels."""

from __future__ import annotations

import math
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

MAXPOOL, CONV2D = "maxpool", "conv2d"
MAXPOOL_PATTERN = IdPattern(TARGET, MAXPOOL, ("H", "W"), needed=(("kK", 3),))
CONV2D_PATTERN = IdPattern(TARGET, CONV2D, ("N", "C", "H", "W", "O"), needed=(("kK", 3), ("pP", 1)))
MAX_WINDOW = 16

_MAXPOOL_BASELINE = (
    HEAD
    + """
WIDTH = 512


@nki.jit
def solution(x, pool_size):
    H, W = x.shape
    out = nl.ndarray((H - pool_size + 1, W - pool_size + 1), dtype=x.dtype, buffer=nl.shared_hbm)
    for h in range(0, out.shape[0], 128):
        rows = min(128, out.shape[0] - h)
        for w in range(0, out.shape[1], WIDTH):
            width = min(WIDTH, out.shape[1] - w)
            highest = nl.ndarray((rows, width), dtype=x.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=highest, src=x[h:h + rows, w:w + width])
            for down in range(pool_size):
                for right in range(pool_size):
                    tile = nl.ndarray((rows, width), dtype=x.dtype, buffer=nl.sbuf)
                    nisa.dma_copy(dst=tile, src=x[h + down:h + down + rows, w + right:w + right + width])
                    nisa.tensor_tensor(dst=highest, data1=highest, data2=tile, op=nl.maximum)
            nisa.dma_copy(dst=out[h:h + rows, w:w + width], src=highest)
    return out
"""
)

_CONV2D_BASELINE = (
    HEAD
    + """
WIDTH = 512


@nki.jit
def solution(x, weights, padding, stride=None, rhs_dilation=None, in_perm=None, kern_perm=None, out_perm=None):
    N, C, H, W = x.shape
    _, KH, KW, O = weights.shape
    (top, bottom), (left, right) = padding
    height, width = H + top + bottom - KH + 1, W + left + right - KW + 1
    out = nl.ndarray((N, O, height, width), dtype=x.dtype, buffer=nl.shared_hbm)
    for n in range(N):
        for o in range(0, O, 128):
            filters = min(128, O - o)
            for r in range(height):
                taps = [(kh, kw) for kh in range(KH) for kw in range(KW) if 0 <= r + kh - top < H]
                for w in range(0, width, WIDTH):
                    columns = min(WIDTH, width - w)
                    sums = nl.ndarray((filters, columns), dtype=nl.float32, buffer=nl.psum)
                    for kh, kw in taps:
                        for c in range(0, C, 128):
                            channels = min(128, C - c)
                            first, last = w + kw - left, w + kw - left + columns
                            inside = slice(max(0, first), min(W, last))
                            row = nl.zeros((channels, columns), dtype=nl.float32, buffer=nl.sbuf)
                            if inside.start < inside.stop:
                                nisa.dma_copy(
                                    dst=row[:, inside.start - first:inside.stop - first],
                                    src=x[n, c:c + channels, r + kh - top, inside],
                                )
                            weight = nl.ndarray((channels, filters), dtype=nl.float32, buffer=nl.sbuf)
                            nisa.dma_copy(dst=weight, src=weights[c:c + channels, kh, kw, o:o + filters])
                            nisa.nc_matmul(dst=sums, stationary=weight, moving=row)
                    result = nl.ndarray((filters, columns), dtype=out.dtype, buffer=nl.sbuf)
                    nisa.tensor_copy(dst=result, src=sums)
                    nisa.dma_copy(dst=out[n, o:o + filters, r, w:w + columns], src=result)
    return out
"""
)


class _Windows(Operator):
    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-4, 1e-2)


@dataclass(frozen=True)
class Maxpool(_Windows):
    id: str
    dims: dict[str, int] = field(hash=False)
    window: int
    dtype: str = "float32"
    family: str = MAXPOOL

    @classmethod
    def of(cls, problem_id: str) -> Maxpool:
        dims, options = MAXPOOL_PATTERN.parse(problem_id)
        made = cls(problem_id, dims, options["k"])
        if not 2 <= made.window <= min(MAX_WINDOW, *dims.values()):
            raise UnknownProblemError(problem_id, f"the window K is at least 2, at most {MAX_WINDOW}, H and W")
        check_size(made)
        return made

    @property
    def title(self) -> str:
        h, w = self.dims.values()
        return f"Maxima of {self.window} x {self.window} windows of {h} x {w}"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        shape = tuple(self.dims.values())
        return tensors(self.dtype, {"x": shape}, {"out": tuple(n - self.window + 1 for n in shape)})

    @property
    def constants(self) -> Mapping[str, Constant]:
        return {"pool_size": self.window}

    @property
    def semantics(self) -> str:
        return "out[h][w] = the highest of x[h + i][w + j], i and j from 0 to K - 1; no padding"

    @property
    def traits(self) -> tuple[str, ...]:
        rows = self.dims["H"] - self.window + 1
        return ("fp32", "taps", *(("ragged",) if rows % PARTITIONS else ()))

    @property
    def wide(self) -> str:
        return "negative numbers only"

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """In the input's type: nothing is rounded."""
        import numpy as np

        x, (height, width) = inputs["x"], self.tensors[1].shape
        rows = x[:height]
        for down in range(1, self.window):
            rows = np.maximum(rows, x[down : down + height])
        out = rows[:, :width]
        for right in range(1, self.window):
            out = np.maximum(out, rows[:, right : right + width])
        return {"out": out}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        shape = tuple(self.dims.values())
        return {"x": rng.standard_normal(shape)}, {"x": rng.uniform(-9, -1, shape)}

    def baseline(self) -> str:
        return _MAXPOOL_BASELINE


@dataclass(frozen=True)
class Conv2d(_Windows):
    id: str
    dims: dict[str, int] = field(hash=False)
    window: int
    padding: int
    dtype: str = "float32"
    family: str = CONV2D

    @classmethod
    def of(cls, problem_id: str) -> Conv2d:
        dims, options = CONV2D_PATTERN.parse(problem_id)
        made = cls(problem_id, dims, options["k"], options["p"])
        if not 1 <= made.window <= MAX_WINDOW or made.padding >= made.window:
            raise UnknownProblemError(problem_id, f"the window K is at most {MAX_WINDOW}, the padding P less than K")
        if min(dims["H"], dims["W"]) + 2 * made.padding < made.window:
            raise UnknownProblemError(problem_id, "the window is larger than the padded image")
        check_size(made)
        return made

    @property
    def title(self) -> str:
        n, c, h, w, o = self.dims.values()
        return f"Convolution of {n} images of {c} x {h} x {w} with {o} filters of {self.window} x {self.window}"

    @property
    def terms(self) -> int:
        return self.dims["C"] * self.window**2

    def _extent(self, length: int) -> int:
        return length + 2 * self.padding - self.window + 1

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        n, c, h, w, o = self.dims.values()
        k = self.window
        shapes = {"x": (n, c, h, w), "weights": (c, k, k, o)}
        return tensors(self.dtype, shapes, {"out": (n, o, self._extent(h), self._extent(w))})

    @property
    def constants(self) -> Mapping[str, Constant]:
        sides = (self.padding, self.padding)
        order: list[Constant] = [0, 1, 2, 3]
        permutations = {f"{name}_perm": order for name in ("in", "kern", "out")}
        return {"padding": (sides, sides), "stride": (1, 1), "rhs_dilation": (1, 1), **permutations}

    @property
    def semantics(self) -> str:
        return (
            "out[n][o][h][w] = sum over c, i, j of x[n][c][h + i - P][w + j - P] * weights[c][i][j][o]; x is zero "
            "outside. padding is ((P, P), (P, P)); stride, dilation and permutations are as the signature has them"
        )

    def _taps(self, length: int) -> int:
        """Pairs of an output and a tap, along one dimension, that do not fall on padding."""
        places = range(-self.padding, length + self.padding - self.window + 1)
        return sum(min(length, at + self.window) - max(0, at) for at in places)

    @property
    def macs(self) -> int:
        n, c, h, w, o = self.dims.values()
        return n * c * o * self._taps(h) * self._taps(w)

    @property
    def traits(self) -> tuple[str, ...]:
        return (
            "matmul",
            "taps",
            "fp32",
            *(("ragged",) if self.dims["C"] % PARTITIONS or self.dims["O"] % PARTITIONS else ()),
        )

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        weights = inputs["weights"].astype(np.float64)
        out = np.zeros(self.tensors[2].shape)
        height, width = out.shape[2:]
        sides = (self.padding, self.padding)
        for image, result in zip(inputs["x"], out, strict=True):
            padded = np.pad(image.astype(np.float64), ((0, 0), sides, sides))
            for i in range(self.window):
                for j in range(self.window):
                    part = padded[:, i : i + height, j : j + width].reshape(len(padded), -1)
                    result += (weights[:, i, j].T @ part).reshape(result.shape)
        return {"out": out}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        shape, kernel = (t.shape for t in self.tensors[:2])
        scale = 1 / math.sqrt(math.prod(kernel[:3]))
        return (
            {"x": rng.standard_normal(shape), "weights": rng.standard_normal(kernel) * scale},
            {"x": rng.uniform(-4, 4, shape) + 1, "weights": rng.uniform(-1, 1, kernel) * scale},
        )

    def baseline(self) -> str:
        return _CONV2D_BASELINE
