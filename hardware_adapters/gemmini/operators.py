"""What the target asks of an operator, whatever its family: the contract, and what follows from it for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..base import Bound, Problem, ProblemSummary, Tensor, Work

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

TARGET = "gemmini"
DEFAULT_CONFIGURATION = "gemmini16-int8"
FP32_CONFIGURATION = "gemmini4-fp32"
MAX_OPERAND_BYTES = 64 << 20
MAX_MACS = 1 << 33
SCRATCHPAD_BLOCKS, ACCUMULATOR_BLOCKS = 1024, 64  # of 16x16 elements
_BYTES = {"int8": 1, "int32": 4, "float32": 4}
_C_TYPES = {"int8": "int8_t", "int32": "int32_t", "float32": "float"}

GENERAL_RULES = (
    "Write one C file that defines `solution` and may include gemmini_api.h, stdint.h, stddef.h, stdbool.h, limits.h, "
    "float.h and string.h (memcpy, memmove, memset, memcmp only); there is no C library and no host.",
    "Inputs are read-only and outputs hold garbage before the call: every element of {outputs} must be written.",
    "solution may return without a fence: the timing includes a final one.",
)
# Besides the default: what the compiler is told for them, and the edge of the array.
DEFINES = {FP32_CONFIGURATION: ("GEMMINI_4_FP32",)}
ARRAY_EDGE = {DEFAULT_CONFIGURATION: 16, FP32_CONFIGURATION: 4}

INT8_RULES = (
    "Local addresses: scratchpad rows 0..16383 of 16 int8 (4 banks of 4096), accumulator ACC + 0..1023 of 16 int32 "
    "(2 banks of 512); ACCADD + row accumulates. Nothing in them survives from one call to the next reliably: "
    "rows must be written before they are read.",
    "rows <= 16; cols <= 64 for mvin and mvout, <= 16 for preload and compute; configure with config_ex, config_ld, "
    "config_st before use.",
)
FP32_RULES = (
    "elem_t is float and DIM is 4. Local addresses: scratchpad rows 0..16383 of 4 floats (4 banks of 4096), "
    "accumulator ACC + 0..4095 of 4 floats (2 banks of 2048); ACCADD + row accumulates. Nothing in them survives from "
    "one call to the next reliably: rows must be written before they are read.",
    "rows <= 4; cols <= 16 for mvin and mvout, <= 4 for preload and compute; configure with config_ex, config_ld, "
    "config_st before use. Scales multiply: a config_ld with -1.0f negates what is loaded.",
    "The CPU's stores and Gemmini's loads are ordered by fence() only, and so are mvouts and the CPU's loads.",
)
CALL_RULES = (
    "Stack: 64 KiB. Buffers start at multiples of 64 bytes, anywhere: do not assume addresses or contents.",
    "The kernel is called more than once, with different data, and every call is checked.",
)


TIMING = (
    "The time that counts is that of the first call: code and data come from DRAM when first touched, what was touched "
    "since is in the\ncache while it lasts."
)


class InputSet(NamedTuple):
    """Operands of one case. `timed`: canonical memory layout, a cold call and a warm one; else functional."""

    name: str
    timed: bool
    inputs: dict[str, Array]


class Specification(Protocol):
    """What one problem of one family asks for: immutable, its id its identity."""

    @property
    def family(self) -> str: ...

    @property
    def configuration(self) -> str:
        """The simulator's configuration it is for, e.g. gemmini16-int8."""
        ...

    @property
    def id(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def dims(self) -> dict[str, int]: ...

    @property
    def traits(self) -> tuple[str, ...] | None:
        """Those that the menu declares; None where nobody knows which it has."""
        ...

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of the kernel's parameters: inputs, then outputs."""
        ...

    @property
    def macs(self) -> int | None:
        """Multiplications that no kernel can do without; None where nobody knows."""
        ...

    @property
    def semantics(self) -> str: ...

    @property
    def input_sets_text(self) -> str: ...

    @property
    def tolerance(self) -> str: ...

    @property
    def rules(self) -> tuple[str, ...]: ...

    @property
    def macs_per_cycle(self) -> int: ...

    @property
    def closeness(self) -> float | None:
        """How far an element may be off, as a share of its output's largest magnitude; None: not at all."""
        ...

    def refused(self) -> str | None:
        """Why this problem is not offered, or None."""
        ...

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output by its name."""
        ...


class Operator(Specification, Protocol):
    """A specification with the data that it is checked on, and kernels to begin from."""

    def draw(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        """One draw of the input sets, the first of them timed."""
        ...

    def mistakes(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
        """Well-known mistakes: a clause that names one, and the outputs that it leads to."""
        ...

    def baseline(self) -> str:
        """A simple, correct kernel."""
        ...

    def hardware_loop(self) -> str | None:
        """A kernel that leaves the work to Gemmini's loop commands, as its vendor's library does; None without one."""
        ...


def tensor_bytes(tensor: Tensor) -> int:
    """Size of a tensor in memory."""
    count = _BYTES[tensor.dtype]
    for extent in tensor.shape:
        count *= extent
    return count


def operand_bytes(operator: Specification) -> int:
    return sum(map(tensor_bytes, operator.tensors))


def too_large(operator: Specification) -> str | None:
    """Why an operator is beyond what is simulated, or None."""
    if (size := operand_bytes(operator)) > MAX_OPERAND_BYTES:
        return f"the operands take {size} bytes; at most {MAX_OPERAND_BYTES} fit the emulated memory"
    if operator.macs is not None and operator.macs > MAX_MACS:
        return f"{operator.macs} multiplications; at most {MAX_MACS} are simulated in reasonable time"
    return None


def chosen(**traits: bool) -> tuple[str, ...]:
    """The names of those that hold."""
    return tuple(name for name, holds in traits.items() if holds)


def defines(operator: Specification) -> tuple[str, ...]:
    """The macros that choose its configuration."""
    return DEFINES.get(operator.configuration, ())


def output_tensors(operator: Specification) -> tuple[Tensor, ...]:
    return tuple(t for t in operator.tensors if t.role == "output")


def describe(operator: Specification) -> Problem:
    """The problem as tools show it."""
    parameters = ", ".join(
        f"{'const ' if t.role == 'input' else ''}{_C_TYPES[t.dtype]} *{t.name}" for t in operator.tensors
    )  # fmt: skip
    sizes = {role: sum(tensor_bytes(t) for t in operator.tensors if t.role == role) for role in ("input", "output")}
    macs, per_cycle = operator.macs, operator.macs_per_cycle
    return Problem(
        id=operator.id,
        target=TARGET,
        family=operator.family,
        title=operator.title,
        dims=operator.dims,
        tensors=operator.tensors,
        signature=f"void solution({parameters})",
        semantics=operator.semantics,
        inputs=operator.input_sets_text,
        tolerance=operator.tolerance,
        work=Work(macs=macs, bytes_in=sizes["input"], bytes_out=sizes["output"]),
        bound=None
        if macs is None
        else Bound(value=macs / per_cycle, unit="cycles", reason=f"{macs} MACs / {per_cycle} per cycle"),
        rules=operator.rules,
        traits=operator.traits,
        timing=TIMING,
    )


def summary(operator: Specification) -> ProblemSummary:
    return ProblemSummary(id=operator.id, target=TARGET, family=operator.family, title=operator.title)
