"""Rotary position embedding: pairs of rows turned by the angle of each position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .attention_kernels import HEAD
from .operators import PARTITIONS, TARGET, Closeness, Operator, check_size, tensors

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "rope"
PATTERN = IdPattern(TARGET, FAMILY, ("D", "S"))
MAX_LENGTH = 16384

_BASELINE = (
    HEAD
    + """
WIDTH = 512


@nki.jit
def solution(x, cos, sin):
    D, S = x.shape
    half = D // 2
    out = nl.ndarray((D, S), dtype=x.dtype, buffer=nl.shared_hbm)

    def loaded(source, first, start, width):
        tile = nl.ndarray((half, width), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=source[first:first + half, start:start + width])
        return tile

    def product(one, other):
        tile = nl.ndarray(one.shape, dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_tensor(dst=tile, data1=one, data2=other, op=nl.multiply)
        return tile

    for start in range(0, S, WIDTH):
        width = min(WIDTH, S - start)
        for upper in (True, False):
            low, high = loaded(x, 0, start, width), loaded(x, half, start, width)
            c, s = loaded(cos, 0, start, width), loaded(sin, 0, start, width)
            turned = nl.ndarray((half, width), dtype=out.dtype, buffer=nl.sbuf)
            if upper:
                nisa.tensor_tensor(dst=turned, data1=product(low, c), data2=product(high, s), op=nl.subtract)
            else:
                nisa.tensor_tensor(dst=turned, data1=product(high, c), data2=product(low, s), op=nl.add)
            first = 0 if upper else half
            nisa.dma_copy(dst=out[first:first + half, start:start + width], src=turned)
    return out
"""
)


@dataclass(frozen=True)
class Rope(Operator):
    id: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"
    family: str = FAMILY

    @classmethod
    def of(cls, problem_id: str) -> Rope:
        dims, _ = PATTERN.parse(problem_id)
        made = cls(problem_id, dims)
        if dims["D"] % 2 or dims["D"] > 2 * PARTITIONS or dims["S"] > MAX_LENGTH:
            raise UnknownProblemError(problem_id, f"D is even and at most {2 * PARTITIONS}, S at most {MAX_LENGTH}")
        check_size(made)
        return made

    @property
    def title(self) -> str:
        d, s = self.dims.values()
        return f"Rotary embedding of {s} positions, {d} wide"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        d, s = self.dims.values()
        angles = (d // 2, s)
        return tensors(self.dtype, {"x": (d, s), "cos": angles, "sin": angles}, {"out": (d, s)})

    @property
    def semantics(self) -> str:
        return (
            "a, b = the first D / 2 rows of x, and the others; the first D / 2 rows of out = a * cos - b * sin, the "
            "others b * cos + a * sin, element by element"
        )

    @property
    def closeness(self) -> Closeness:
        return Closeness(1e-4, 1e-2)

    @property
    def traits(self) -> tuple[str, ...]:
        return ("fp32",)

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        x, cos, sin = (inputs[name].astype(np.float64) for name in ("x", "cos", "sin"))
        low, high = np.split(x, 2)
        return {"out": np.concatenate((low * cos - high * sin, high * cos + low * sin))}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        import numpy as np

        d, s = self.dims.values()
        speeds = 10000.0 ** (-np.arange(d // 2) / (d // 2))
        angles = speeds[:, None] * np.arange(s)[None, :] + rng.uniform(0, 6.28)
        angles = {"cos": np.cos(angles), "sin": np.sin(angles)}
        free = {name: rng.uniform(-3, 3, (d // 2, s)) + 1 for name in ("cos", "sin")}
        return {"x": rng.standard_normal((d, s)), **angles}, {"x": rng.uniform(-8, 8, (d, s)) + 1, **free}

    def baseline(self) -> str:
        return _BASELINE
