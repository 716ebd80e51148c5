"""What the target asks of an operator, whatever its family, and what follows from it for all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..base import Bound, Problem, ProblemSummary, Tensor, UnknownProblemError, Work
from .machines import DEFAULT, Machine, machines

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

TARGET = "trainium"
MAX_OPERAND_BYTES = 1 << 30
MAX_MACS = 1 << 39
ONE_SET_MACS, ONE_SET_BYTES = 1 << 35, 256 << 20  # beyond, a second input set would double minutes of simulating
BYTES = {"float32": 4, "bfloat16": 2, "bool": 1, "int32": 4, "int8": 1}
PARTITIONS = 128
# Of float32 operands: what three bfloat16 products in place of one of float32 leave (2^-16), four times over; a rounded
# operand is off by up to 2^-9. And with n terms added up one after the other, four times the error that is to be
# expected, sqrt(n) 2^-24.
FLOAT32_SHARE, FLOAT32_UNIT = 2.0**-14, 2.0**-24

RULES = (
    "Write one Python file that defines `solution`, decorated with @nki.jit: it takes the inputs in order, as tensors "
    "in HBM, and returns a new tensor per output, nl.ndarray(..., buffer=nl.shared_hbm), of the shape and type given.",
    "A kernel may import nki, nki.isa, nki.language, math, itertools, functools, typing, dataclasses, and of numpy "
    "types, operators and functions on numbers. Classes without special methods, no with, match, generators or files.",
    "NKI 2: instructions are nki.isa functions with dst=; data reaches SBUF by nisa.dma_copy only. API that the "
    "simulator does not have is refused by name.",
    "SBUF and PSUM tiles have at most 128 partitions (dimension 0). nc_matmul: stationary at most 128x128, moving at "
    "most 128x512, the result within one PSUM bank (2 KiB per partition, 8 banks).",
    "Outputs hold NaN before the call: every element must be written.",
)
CONSTANTS_RULE = (
    "The parameters with values in the signature are constants: each is passed by name to a kernel that has a "
    "parameter of that name, and to others not. Inputs are passed by name where all their names are parameters."
)
TIMING = (
    "The time that counts is the simulator's estimate for one call: engines run in program order beside each other, "
    "loads and stores\nhave 1.3 us of latency, and tiles of later iterations are loaded ahead as far as SBUF has room."
)


class InputSet(NamedTuple):
    name: str
    timed: bool
    inputs: dict[str, Array]


class ElementType(NamedTuple):
    """A constant that is an element type, as nki.language has it."""

    name: str


Constant = int | float | None | ElementType | tuple["Constant", ...] | list["Constant"]


class Closeness(NamedTuple):
    """An element may be off by absolute + relative * |expected|."""

    absolute: float
    relative: float


class Operator(ABC):
    """One problem of one family: immutable, its id its identity."""

    family: str
    id: str
    dims: dict[str, int]
    dtype: str = "float32"
    demands_float32 = True  # of float32 operands; False where published kernels compute in bfloat16 all the same

    @property
    @abstractmethod
    def title(self) -> str: ...

    @property
    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """Inputs in the order of the kernel's parameters, then outputs."""

    @property
    @abstractmethod
    def semantics(self) -> str: ...

    @property
    @abstractmethod
    def closeness(self) -> Closeness:
        """The published one, which engines with arithmetic of their own are held to."""

    @property
    def terms(self) -> int:
        """At most so many are added up for an element."""
        return max(self.dims.values())

    @property
    def share(self) -> float | None:
        """What float32 arithmetic may leave, of an element and of its output's root mean square; None where less is
        demanded."""
        if self.dtype != "float32" or not self.demands_float32:
            return None
        return FLOAT32_SHARE + 4 * FLOAT32_UNIT * math.sqrt(self.terms)

    @property
    def tolerance(self) -> str:
        """`near`, for people."""
        near, share = self.closeness, self.share
        text = f"|got - expected| <= {near.absolute:g} + {near.relative:g} |expected|, expected in float64"
        if share is None:
            return text
        exact = f"|got - expected| <= {share:.2g} (r + |expected|), r the output's root mean square"
        return f"{text}; and float32 accuracy: {exact}"

    def near(self, expected: Array, *, published: bool = False) -> Closeness:
        """What holds for the elements of one output; `published`: the family's published tolerance alone."""
        import numpy as np

        near, share = self.closeness, self.share
        if share is None or published:
            return near
        flat = expected.ravel()
        r = math.sqrt(float(np.dot(flat, flat)) / max(1, flat.size))
        return Closeness(min(near.absolute, share * r), min(near.relative, share))

    @property
    def inputs_text(self) -> str:
        also = "" if _one_set(self) else f" and `wide` ({self.wide})"
        return "drawn anew for every kernel and seed: `normal` (timed)" + also

    @property
    def constants(self) -> Mapping[str, Constant]:
        """Parameters beside the tensors, by name."""
        return {}

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the Tensor engine cannot do without."""
        return 0

    @property
    def known_macs(self) -> int | None:
        """None where nobody knows how many there must be."""
        return self.macs

    @property
    def needed_bytes(self) -> int:
        """What has to be read and written, once."""
        return sum(map(tensor_bytes, self.tensors))

    @property
    def exponentials(self) -> int:
        """Those that are needed, per partition. Each is one element of an instruction, on whatever engine."""
        return 0

    @property
    def traits(self) -> tuple[str, ...] | None:
        """None: not known."""
        return ()

    @property
    def wide(self) -> str:
        """What is different about the second input set."""
        return "other scales, an offset"

    @abstractmethod
    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output by its name, in float64, from the inputs as the kernel sees them."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        """Inputs of the two sets, `normal` and `wide`, in float64."""

    def sets(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        """The data of one evaluation, in the tensors' types."""
        types = {tensor.name: numpy_type(tensor.dtype) for tensor in self.tensors}
        normal, wide = (
            {name: values.astype(types[name]) for name, values in drawn.items()} for drawn in self.draw(rng)
        )
        timed = InputSet("normal", True, normal)
        return (timed,) if _one_set(self) else (timed, InputSet("wide", False, wide))

    async def results(self, sets: Sequence[InputSet]) -> list[dict[str, Array]]:
        """What every set's outputs should be. Raises InvalidProblemError where a reference is the user's and fails."""
        import anyio.to_thread

        return [await anyio.to_thread.run_sync(self.expected, chosen.inputs) for chosen in sets]

    @abstractmethod
    def baseline(self) -> str | None:
        """A simple, correct kernel; None where the user gave none."""


def numpy_type(name: str) -> np.dtype:
    import numpy as np

    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _one_set(operator: Operator) -> bool:
    return operator.macs > ONE_SET_MACS or sum(map(tensor_bytes, operator.tensors)) > ONE_SET_BYTES


def inputs_of(operator: Operator) -> tuple[Tensor, ...]:
    return tuple(t for t in operator.tensors if t.role == "input")


def outputs_of(operator: Operator) -> tuple[Tensor, ...]:
    return tuple(t for t in operator.tensors if t.role == "output")


def tensor_bytes(tensor: Tensor) -> int:
    return BYTES[tensor.dtype] * math.prod(tensor.shape)


def check_size(operator: Operator) -> None:
    """Raises UnknownProblemError for what would take too long or too much memory."""
    if min(operator.dims.values()) < 1:
        raise UnknownProblemError(operator.id, "every dimension is at least 1")
    if (size := sum(map(tensor_bytes, operator.tensors))) > MAX_OPERAND_BYTES:
        raise UnknownProblemError(operator.id, f"the operands take {size} bytes; at most {MAX_OPERAND_BYTES}")
    if operator.macs > MAX_MACS:
        raise UnknownProblemError(operator.id, f"{operator.macs} multiplications; at most {MAX_MACS} are simulated")


def bound(operator: Operator, machine: Machine) -> Bound:
    """Roofline: what is needed moved once, products at the Tensor engine's peak, exponentials on all other engines.

    The peak is that of bfloat16 whatever the operands' type: a kernel may convert them where less is demanded.
    """
    moved, peak = operator.needed_bytes, machine.macs_per_ns("bfloat16")
    limits = {
        f"{moved} bytes / {machine.dma_rate:g} bytes per ns": moved / machine.dma_rate,
        f"{operator.macs} MACs / {peak:.0f} per ns in bfloat16": operator.macs / peak,
        f"{operator.exponentials} exponentials per partition / {machine.exponentials_per_ns:g} per ns": (
            operator.exponentials / machine.exponentials_per_ns
        ),
    }
    reason = max(limits, key=lambda text: limits[text])
    return Bound(value=round(limits[reason], 1), unit="ns", reason=f"{reason}, on {machine.title}")


def describe(operator: Operator) -> Problem:
    """The problem as tools show it."""
    names = ", ".join(
        (*(t.name for t in inputs_of(operator)), *(f"{name}={written(v)}" for name, v in operator.constants.items()))
    )
    sizes = {role: sum(tensor_bytes(t) for t in operator.tensors if t.role == role) for role in ("input", "output")}
    return Problem(
        id=operator.id,
        target=TARGET,
        family=operator.family,
        title=operator.title,
        dims=operator.dims,
        tensors=operator.tensors,
        signature=f"@nki.jit\ndef solution({names})",
        semantics=operator.semantics,
        inputs=operator.inputs_text,
        tolerance=operator.tolerance,
        work=Work(macs=operator.known_macs, bytes_in=sizes["input"], bytes_out=sizes["output"]),
        bound=bound(operator, machines()[DEFAULT]),
        rules=(*RULES, CONSTANTS_RULE) if operator.constants else RULES,
        traits=operator.traits,
        language="python",
        timing=TIMING,
    )


def summary(operator: Operator) -> ProblemSummary:
    return ProblemSummary(id=operator.id, target=TARGET, family=operator.family, title=operator.title)


def tensors(
    dtype: str, inputs: Mapping[str, tuple[int, ...]], outputs: Mapping[str, tuple[int, ...]]
) -> tuple[Tensor, ...]:
    """Inputs, then outputs, all of one type."""
    return tuple(
        Tensor(name=name, role=role, shape=shape, dtype=dtype)  # type: ignore[arg-type]
        for role, group in (("input", inputs), ("output", outputs))
        for name, shape in group.items()
    )


def written(value: Constant) -> str:
    """As a kernel's text has it."""
    if isinstance(value, ElementType):
        return f"nl.{value.name}"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(written, value)) + ("," if isinstance(value, tuple) and len(value) == 1 else "")
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return repr(value)


def encoded(value: Constant) -> object:
    """As the simulator's job has it: JSON knows neither element types nor tuples."""
    if isinstance(value, ElementType):
        return {"dtype": value.name}
    if isinstance(value, tuple):
        return {"tuple": [encoded(each) for each in value]}
    return [encoded(each) for each in value] if isinstance(value, list) else value
