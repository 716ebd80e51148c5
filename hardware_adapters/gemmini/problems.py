"""The GEMM family of Gemmini: what must be computed, and the reference result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from ..base import Tensor, UnknownProblemError
from ..problems import IdPattern
from .operators import (
    ACCUMULATOR_BLOCKS,
    CALL_RULES,
    DEFAULT_CONFIGURATION,
    GENERAL_RULES,
    INT8_RULES,
    SCRATCHPAD_BLOCKS,
    TARGET,
    chosen,
    operand_bytes,
    too_large,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

FAMILY = "gemm"
PATTERN = IdPattern(TARGET, FAMILY, ("M", "N", "K"), ("bias|biasmat", "relu", "shiftS"))

MACS_PER_CYCLE = 256  # 16 x 16 array, one MAC per element and cycle
MAX_DIM = 65_536
# Up to here float32(acc) * 2^-S and exact arithmetic give the same int8: whatever float32 rounds, saturates.
MAX_SHIFT = 16
FULL_RANGE_VARIANCE = 5461.0  # of uniform int8, and so the standard deviation of one product of two

# M x N x K. The first six are the shapes of the Autocomp paper (arXiv 2505.18574, GEMM on Gemmini).
PUBLISHED = (
    (512, 512, 512),
    (12544, 256, 64),
    (12544, 64, 256),
    (3136, 512, 128),
    (3136, 128, 512),
    (784, 1024, 256),
)
EXAMPLES = (
    *(f"{TARGET}/{FAMILY}-{m}x{n}x{k}" for m, n, k in PUBLISHED),
    "gemmini/gemm-64x64x64",
    "gemmini/gemm-128x128x128",
    "gemmini/gemm-256x256x256",
    "gemmini/gemm-77x130x200",
    "gemmini/gemm-256x128x192-bias",
    "gemmini/gemm-256x128x256-relu-shift8",
    "gemmini/gemm-128x256x128-biasmat-relu-shift6",
)

RULES = (*(rule.format(outputs="C") for rule in GENERAL_RULES), *INT8_RULES, *CALL_RULES)


class Gemm(NamedTuple):
    """C[M][N] = sat8(act(round_half_even((A[M][K] x B[K][N] + D) / 2^shift))), D int32: none, a row, or a matrix."""

    m: int
    n: int
    k: int
    bias: str | None = None  # None, "bias" (row vector D[N]) or "biasmat" (D[M][N])
    relu: bool = False
    shift: int = 0

    @classmethod
    def of(cls, problem_id: str) -> Self:
        """Raises UnknownProblemError."""
        dims, options = PATTERN.parse(problem_id)
        bias = next((name for name in ("bias", "biasmat") if name in options), None)
        gemm = cls(dims["M"], dims["N"], dims["K"], bias, "relu" in options, options.get("shift", 0))
        if refused := gemm.refused():
            raise UnknownProblemError(problem_id, refused)
        return gemm

    def refused(self) -> str | None:
        """Why this size is not offered, or None."""
        for name, value in zip("MNK", (self.m, self.n, self.k), strict=True):
            if not 1 <= value <= MAX_DIM:
                return f"{name} = {value} is not in 1..{MAX_DIM}"
        if self.shift > MAX_SHIFT:
            return f"shift {self.shift} is not in 1..{MAX_SHIFT}"
        if FULL_RANGE_VARIANCE * self.k**0.5 < 4 << self.shift:
            return f"a shift of {self.shift} leaves next to nothing of sums of {self.k} products: take a smaller one"
        return too_large(self)

    @property
    def id(self) -> str:
        options = {self.bias or "": 1, "relu": int(self.relu), "shift": self.shift}
        return PATTERN.format(self.dims, options)

    @property
    def family(self) -> str:
        return FAMILY

    @property
    def configuration(self) -> str:
        return DEFAULT_CONFIGURATION

    @property
    def dims(self) -> dict[str, int]:
        return {"M": self.m, "N": self.n, "K": self.k}

    @property
    def macs_per_cycle(self) -> int:
        return MACS_PER_CYCLE

    @property
    def rules(self) -> tuple[str, ...]:
        return RULES

    @property
    def macs(self) -> int:
        return self.m * self.n * self.k

    @property
    def traits(self) -> tuple[str, ...]:
        m, n, k = (-(-size // 16) for size in (self.m, self.n, self.k))
        return chosen(
            bias_row=self.bias == "bias",
            ragged=any(size % 16 for size in (self.m, self.n, self.k)),
            a_fits=m * k < SCRATCHPAD_BLOCKS,
            b_fits=k * n < SCRATCHPAD_BLOCKS,
            c_fits=m * n <= ACCUMULATOR_BLOCKS,
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of the kernel's parameters."""
        a = Tensor(name="A", role="input", shape=(self.m, self.k), dtype="int8")
        b = Tensor(name="B", role="input", shape=(self.k, self.n), dtype="int8")
        c = Tensor(name="C", role="output", shape=(self.m, self.n), dtype="int8")
        if self.bias is None:
            return a, b, c
        shape = (self.n,) if self.bias == "bias" else (self.m, self.n)
        return a, b, Tensor(name="D", role="input", shape=shape, dtype="int32"), c

    @property
    def operand_bytes(self) -> int:
        return operand_bytes(self)

    @property
    def title(self) -> str:
        what = f"C[{self.m}][{self.n}] = A[{self.m}][{self.k}] x B[{self.k}][{self.n}]"
        return what + ({None: "", "bias": " + row D", "biasmat": " + D"}[self.bias]) + (", ReLU" if self.relu else "")

    def reference(self, inputs: Mapping[str, Array]) -> Array:
        """The expected C. Products and sums are exact: float64 holds integers up to 2^53, float32 up to 2^24."""
        import numpy as np

        a, b = inputs["A"], inputs["B"]
        exact = np.float32 if self.k * 128 * 128 < 1 << 24 else np.float64
        total = np.matmul(a.astype(exact), b.astype(exact)).astype(np.int64)
        if self.bias:
            total += inputs["D"]
        scaled = np.rint(total / 2.0**self.shift) if self.shift else total
        return np.clip(scaled, 0 if self.relu else -128, 127).astype(np.int8)

    @property
    def semantics(self) -> str:
        added = {None: "", "bias": " + D (D[N], added to every row)", "biasmat": " + D"}[self.bias]
        steps = [f"sum over k in int32: A x B{added}", *finishing_steps(self.relu, self.shift)]
        return f"C[M][N] = {'; '.join(steps)}. All arrays row-major without padding."

    @property
    def input_sets_text(self) -> str:
        return (
            "Three sets, different for every kernel and seed: 'full' (int8 over -128..127, nearly every output "
            "saturates), 'sparse' (B with two or three small entries per column) and 'dense' (small values everywhere, "
            "outputs stay in range)."
        )

    @property
    def tolerance(self) -> str:
        return "exact: every element of C must be equal"

    @property
    def closeness(self) -> None:
        return None

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"C": self.reference(inputs)}


def finishing_steps(relu: bool, shift: int) -> list[str]:
    """What becomes of an int32 sum on its way to int8."""
    steps = [f"divided by 2^{shift}, rounded half to even (accumulator scale)"] if shift else []
    steps += ["ReLU: negative values become 0"] if relu else []
    return [*steps, "saturated to -128..127"]
