"""Norms and scans with the tensors of public kernels: gains without a dimension of 1, a batch before the channels.

What they compute, their inputs and their baselines are those of `norms` and `scans`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .attention_kernels import HEAD
from .norms import EPSILON, LAYER, MAX_COLUMNS, RMS, Norm
from .operators import PARTITIONS, TARGET, Closeness, Constant, Operator, check_size, tensors
from .scans import MAMBA, MAX_LENGTH, Mamba

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

RMS_1D, LAYER_1D, SSM = "rmsnorm1d", "layernorm1d", "ssm"
PATTERNS = {name: IdPattern(TARGET, name, ("R", "C")) for name in (RMS_1D, LAYER_1D)}
SSM_PATTERN = IdPattern(TARGET, SSM, ("B", "C", "S", "N"), ("spread",))
# Names of the public kernel's parameters: the constant stands between them, so they go by name.
_NAMES = {
    RMS_1D: {"x": "x", "gain": "gain"},
    LAYER_1D: {"x": "input_tensor", "gain": "gamma_vector", "shift": "beta_vector"},
}

_NORM_BASELINE = (
    HEAD
    + """

@nki.jit
def solution({parameters}):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)

        def tile(width):
            return nl.ndarray((rows, width), dtype=nl.float32, buffer=nl.sbuf)

        def spread(vector):
            wide = tile(C)
            nisa.dma_copy(dst=wide, src=vector.reshape((1, C)).broadcast(0, rows))
            return wide

        data, squares, total, scale = tile(C), tile(C), tile(1), tile(1)
        nisa.dma_copy(dst=data, src=x[r:r + rows, 0:C])
{centre}\
        nisa.activation(dst=squares, op=nl.square, data=data)
        nisa.tensor_reduce(dst=total, op=nl.add, data=squares, axis=1)
        nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1={epsilon})
        nisa.activation(dst=scale, op=nl.rsqrt, data=total)
        nisa.tensor_scalar(dst=data, data=data, op0=nl.multiply, operand0=scale)
        nisa.tensor_tensor(dst=data, data1=data, data2=spread({gain}), op=nl.multiply)
{shift}\
        nisa.dma_copy(dst=out[r:r + rows, 0:C], src=data)
    return out
"""
)
_CENTRE = """\
        mean = tile(1)
        nisa.tensor_reduce(dst=mean, op=nl.add, data=data, axis=1)
        nisa.tensor_scalar(dst=mean, data=mean, op0=nl.multiply, operand0=1.0 / C)
        nisa.tensor_scalar(dst=data, data=data, op0=nl.subtract, operand0=mean)
"""
_SHIFT = """\
        nisa.tensor_tensor(dst=data, data1=data, data2=spread(beta_vector), op=nl.add)
"""
_SSM_BASELINE = (
    HEAD
    + """

@nki.jit
def solution(delta, u, a, b, c):
    B, C, S = delta.shape
    N = a.shape[1]
    copies = b.shape[1] // N
    out = nl.ndarray((B, C, S), dtype=delta.dtype, buffer=nl.shared_hbm)
    for batch in range(B):
        for first in range(0, C, 128):
            rows = min(128, C - first)

            def loaded(source):
                tile = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
                nisa.dma_copy(dst=tile, src=source)
                return tile

            def multiplied(one, other):
                nisa.tensor_tensor(dst=one, data1=one, data2=other, op=nl.multiply)
                return one

            total = nl.zeros((rows, S), dtype=nl.float32, buffer=nl.sbuf)
            for n in range(N):
                rate = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
                nisa.dma_copy(dst=rate, src=a[first:first + rows, n:n + 1])
                step = loaded(delta[batch, first:first + rows, 0:S])
                decay = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
                nisa.activation(dst=decay, op=nl.exp, data=step, scale=rate)
                driven = multiplied(step, loaded(u[batch, first:first + rows, 0:S]))
                row = n * copies
                driven = multiplied(driven, loaded(b[batch, row:row + 1, 0:S].broadcast(0, rows)))
                state = nl.ndarray((rows, S), dtype=nl.float32, buffer=nl.sbuf)
                nisa.tensor_tensor_scan(
                    dst=state, data0=decay, data1=driven, initial=0.0, op0=nl.multiply, op1=nl.add
                )
                seen = multiplied(state, loaded(c[batch, row:row + 1, 0:S].broadcast(0, rows)))
                nisa.tensor_tensor(dst=total, data1=total, data2=seen, op=nl.add)
            nisa.dma_copy(dst=out[batch, first:first + rows, 0:S], src=total)
    return out
"""
)


@dataclass(frozen=True)
class Norm1d(Operator):
    id: str
    family: str
    dims: dict[str, int] = field(hash=False)
    dtype: str = "float32"

    @classmethod
    def of(cls, problem_id: str) -> Norm1d:
        family = RMS_1D if problem_id.startswith(f"{TARGET}/{RMS_1D}") else LAYER_1D
        dims, _ = PATTERNS[family].parse(problem_id)
        made = cls(problem_id, family, dims)
        check_size(made)
        if dims["C"] > MAX_COLUMNS:
            raise UnknownProblemError(problem_id, f"rows have at most {MAX_COLUMNS} elements")
        return made

    @property
    def norm(self) -> Norm:
        """The same with gain and shift of one row."""
        return Norm(self.id, RMS if self.family == RMS_1D else LAYER, self.dims)

    @property
    def title(self) -> str:
        return f"{self.norm.title}, gain a vector"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        rows, columns = self.dims.values()
        shapes = {given: (rows, columns) if name == "x" else (columns,) for name, given in _NAMES[self.family].items()}
        return tensors(self.dtype, shapes, {"out": (rows, columns)})

    @property
    def constants(self) -> Mapping[str, Constant]:
        return {"epsilon": EPSILON} if self.family == LAYER_1D else {}

    @property
    def semantics(self) -> str:
        text = self.norm.semantics.replace("[0][c]", "[c]")
        for name, given in _NAMES[self.family].items():
            text = text.replace(f"{name}[", f"{given}[")
        return text

    @property
    def closeness(self) -> Closeness:
        return self.norm.closeness

    @property
    def traits(self) -> tuple[str, ...] | None:
        return self.norm.traits

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.norm.expected({name: inputs[given] for name, given in _NAMES[self.family].items()})

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        shapes = {tensor.name: tensor.shape for tensor in self.tensors}
        normal, wide = (
            {given: drawn[name].reshape(shapes[given]) for name, given in _NAMES[self.family].items()}
            for drawn in self.norm.draw(rng)
        )
        return normal, wide

    def baseline(self) -> str:
        if self.family == RMS_1D:
            return _NORM_BASELINE.format(parameters="x, gain", centre="", epsilon=EPSILON, gain="gain", shift="")
        text = _NORM_BASELINE.format(
            parameters="input_tensor, epsilon, gamma_vector, beta_vector", centre=_CENTRE, epsilon="epsilon",
            gain="gamma_vector", shift=_SHIFT,
        )  # fmt: skip
        return (
            text.replace("x.shape", "input_tensor.shape")
            .replace("x.dtype", "input_tensor.dtype")
            .replace("src=x[", "src=input_tensor[")
        )


@dataclass(frozen=True)
class Ssm(Operator):
    """`spread`: every row of b and c 128 times, as the public NKI 2 kernel wants them."""

    id: str
    dims: dict[str, int] = field(hash=False)
    spread: bool
    dtype: str = "float32"
    family: str = SSM

    @classmethod
    def of(cls, problem_id: str) -> Ssm:
        dims, options = SSM_PATTERN.parse(problem_id)
        made = cls(problem_id, dims, bool(options.get("spread")))
        check_size(made)
        if dims["S"] > MAX_LENGTH:
            raise UnknownProblemError(problem_id, f"rows have at most {MAX_LENGTH} elements")
        return made

    @property
    def scan(self) -> Mamba:
        """Of one of the batch."""
        return Mamba(self.id, {name: self.dims[name] for name in ("C", "S", "N")}, family=MAMBA)

    @property
    def title(self) -> str:
        return f"{self.scan.title}, a batch of {self.dims['B']}"

    @property
    def copies(self) -> int:
        return PARTITIONS if self.spread else 1

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        batch, c, s, n = self.dims.values()
        rows = (batch, n * self.copies, s)
        inputs = {"delta": (batch, c, s), "u": (batch, c, s), "a": (c, n), "b": rows, "c": rows}
        return tensors(self.dtype, inputs, {"out": (batch, c, s)})

    @property
    def semantics(self) -> str:
        more = f"; row n of b and c is repeated in rows {PARTITIONS} n to {PARTITIONS} n + {PARTITIONS - 1}"
        return f"for every one of the batch, its index before the others, but for a: {self.scan.semantics}" + (
            more if self.spread else ""
        )

    @property
    def closeness(self) -> Closeness:
        return self.scan.closeness

    @property
    def needed_bytes(self) -> int:
        """Of rows that are repeated one is enough."""
        batch, c, s, n = self.dims.values()
        return 4 * (3 * batch * c * s + c * n + 2 * batch * n * s)

    @property
    def exponentials(self) -> int:
        return self.dims["B"] * self.scan.exponentials

    @property
    def traits(self) -> tuple[str, ...] | None:
        return self.scan.traits

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        def one(batch: int) -> dict[str, Array]:
            rows = {name: inputs[name][batch, :: self.copies] for name in ("b", "c")}
            return {"delta": inputs["delta"][batch], "u": inputs["u"][batch], "a": inputs["a"], **rows}

        return {"out": np.stack([self.scan.expected(one(batch))["out"] for batch in range(self.dims["B"])])}

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        import numpy as np

        each = [self.scan.draw(rng) for _ in range(self.dims["B"])]

        def stacked(number: int) -> dict[str, Array]:
            found = {name: np.stack([drawn[number][name] for drawn in each]) for name in ("delta", "u", "b", "c")}
            repeated = {name: found[name].repeat(self.copies, axis=1) for name in ("b", "c")}
            return {**found, **repeated, "a": each[0][number]["a"]}

        normal, wide = (
            {tensor.name: drawn[tensor.name] for tensor in self.tensors[:-1]} for drawn in (stacked(0), stacked(1))
        )
        return normal, wide

    def baseline(self) -> str:
        return _SSM_BASELINE
