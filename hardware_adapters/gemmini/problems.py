"""The GEMM family of Gemmini: what must be computed, on which data, and the reference result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..base import Bound, Problem, ProblemSummary, Tensor, UnknownProblemError, Work
from ..problems import IdPattern

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

TARGET = "gemmini"
FAMILY = "gemm"
PATTERN = IdPattern(TARGET, FAMILY, ("M", "N", "K"), ("bias|biasmat", "relu", "shiftS"))

MACS_PER_CYCLE = 256  # 16 x 16 array, one MAC per element and cycle
MAX_DIM = 65_536
MAX_OPERAND_BYTES = 64 << 20
MAX_MACS = 1 << 33
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

RULES = (
    "Write one C file that defines `solution` and may include gemmini_api.h, stdint.h, stddef.h, stdbool.h, limits.h, "
    "float.h and string.h (memcpy, memmove, memset, memcmp only); there is no C library and no host.",
    "Inputs are read-only and outputs hold garbage before the call: every element of C must be written.",
    "solution may return without a fence: the timing includes a final one.",
    "Local addresses: scratchpad rows 0..16383 of 16 int8 (4 banks of 4096), accumulator ACC + 0..1023 of 16 int32 "
    "(2 banks of 512); ACCADD + row accumulates. Nothing in them survives from one call to the next reliably: "
    "rows must be written before they are read.",
    "rows <= 16; cols <= 64 for mvin and mvout, <= 16 for preload and compute; configure with config_ex, config_ld, "
    "config_st before use.",
    "Stack: 64 KiB. Buffers start at multiples of 64 bytes, anywhere: do not assume addresses or contents.",
    "The kernel is called more than once, with different data, and every call is checked.",
)


class Gemm(NamedTuple):
    """C[M][N] = sat8(act(round_half_even((A[M][K] x B[K][N] + D) / 2^shift))), D int32: none, a row, or a matrix."""

    m: int
    n: int
    k: int
    bias: str | None = None  # None, "bias" (row vector D[N]) or "biasmat" (D[M][N])
    relu: bool = False
    shift: int = 0

    @classmethod
    def of(cls, problem_id: str) -> Gemm:
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
        if self.operand_bytes > MAX_OPERAND_BYTES:
            return f"the operands take {self.operand_bytes} bytes; at most {MAX_OPERAND_BYTES} fit the emulated memory"
        if self.macs > MAX_MACS:
            return f"{self.macs} multiplications; at most {MAX_MACS} are simulated in reasonable time"
        return None

    @property
    def id(self) -> str:
        options = {self.bias or "": 1, "relu": int(self.relu), "shift": self.shift}
        return PATTERN.format({"M": self.m, "N": self.n, "K": self.k}, options)

    @property
    def macs(self) -> int:
        return self.m * self.n * self.k

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
        return sum(tensor_bytes(tensor) for tensor in self.tensors)

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


def tensor_bytes(tensor: Tensor) -> int:
    """Size of a tensor in memory."""
    count = {"int8": 1, "int32": 4}[tensor.dtype]
    for extent in tensor.shape:
        count *= extent
    return count


def describe(gemm: Gemm) -> Problem:
    """The problem as tools show it."""
    parameters = ", ".join(
        f"{'const ' if t.role == 'input' else ''}{t.dtype}_t *{t.name}" for t in gemm.tensors
    )  # fmt: skip
    added = {None: "", "bias": " + D (D[N], added to every row)", "biasmat": " + D"}[gemm.bias]
    steps = [f"sum over k in int32: A x B{added}"]
    steps += [f"divided by 2^{gemm.shift}, rounded half to even (accumulator scale)"] if gemm.shift else []
    steps += ["ReLU: negative values become 0"] if gemm.relu else []
    steps += ["saturated to -128..127"]
    inputs = [t for t in gemm.tensors if t.role == "input"]
    moved = sum(map(tensor_bytes, inputs))
    return Problem(
        id=gemm.id,
        target=TARGET,
        family=FAMILY,
        title=gemm.title,
        dims={"M": gemm.m, "N": gemm.n, "K": gemm.k},
        tensors=gemm.tensors,
        signature=f"void solution({parameters})",
        semantics=f"C[M][N] = {'; '.join(steps)}. All arrays row-major without padding.",
        inputs="Three sets, different for every kernel and seed: 'full' (int8 over -128..127, nearly every output "
        "saturates), 'sparse' (B with two or three small entries per column) and 'dense' (small values everywhere, "
        "outputs stay in range).",
        tolerance="exact: every element of C must be equal",
        work=Work(macs=gemm.macs, bytes_in=moved, bytes_out=gemm.m * gemm.n),
        bound=Bound(
            value=gemm.macs / MACS_PER_CYCLE, unit="cycles", reason=f"{gemm.macs} MACs / {MACS_PER_CYCLE} per cycle"
        ),
        rules=RULES,
    )


def summary(problem_id: str) -> ProblemSummary:
    gemm = Gemm.of(problem_id)
    return ProblemSummary(id=gemm.id, target=TARGET, family=FAMILY, title=gemm.title)
