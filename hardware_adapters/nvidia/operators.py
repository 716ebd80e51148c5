"""What the target asks of an operator, whatever its family, and what follows from it for all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..base import Bound, Problem, ProblemSummary, Tensor, UnknownProblemError, Work
from .machines import Machine, machine
from .parts import Part

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

TARGET = "nvidia"
ENTRY = 'extern "C" int launch(void** buffers, const int64_t* dims, cudaStream_t stream)'
MAX_OPERAND_BYTES = 1 << 30
MAX_FLOPS = 1 << 44
SCRATCH_BYTES = 32 << 20
DRAWN_ELEMENTS = 1 << 23
DRAWN_PERIOD = 1048573  # a prime, so that no row repeats another
FULL = "shape of the id"
# The problem of KernelBench (level and number) that asks for the same.
KERNELBENCH = {
    "sgemm": "L1 #1", "gemv": "L1 #4", "softmax": "L1 #23", "layernorm": "L1 #40", "colsum": "L1 #47",
    "dwconv3x3": "L1 #82", "cumsum": "L1 #89", "attention": "L1 #97", "gemm-scale-leakyrelu": "L2 #12",
}  # fmt: skip
BASELINES = Path(__file__).with_name("baselines")

RULES = (
    f"Write one .cu file that defines `{ENTRY}`. `buffers` holds device pointers: the tensors in order, then a scratch "
    "area of 32 MiB whose content is undefined at every call. `dims` holds the dimensions in the order of the id.",
    "`launch` enqueues kernels on `stream` and returns 0 or a cudaError_t. No allocation, copies, synchronisation, "
    "other streams or graphs, no access to the buffers from the host, no library calls (cuBLAS, cuDNN, CUTLASS, CUB).",
    "The kernel must be right for any dimensions, odd ones and 1 too: hidden shapes are tried before that of the id.",
    "Inputs are read-only. Outputs hold NaN before each call: every element must be written.",
    "All tensors are float32, and so is the arithmetic: a narrower type in between breaks the tolerance, unless the id "
    "ends in -tf32.",
    "The cpu engine has no inline PTX, wmma, cp.async or libraries of the toolkit: it refuses them by name. "
    "reference://nvidia/guide lists what it runs.",
)
TIMING = (
    "The time that counts is an estimate for the whole call of `launch` on the device named in the bound: a roofline\n"
    "over floating-point work, memory traffic counted in an emulation of some blocks, occupancy and launches.\n"
    "DRAM gives at most 92 % of its peak and a launch costs 2 us: no kernel comes nearer to a bound that DRAM sets."
)


class InputSet(NamedTuple):
    """`dims`: the shape it is for, often not that of the id. `then`: what a later call in the same process is given,
    where there is one: a kernel that keeps results between calls has kept the wrong ones."""

    name: str
    dims: dict[str, int]
    inputs: dict[str, Array]
    then: dict[str, Array] | None = None


class Right(NamedTuple):
    """Expected values in float64; an element may be off by the operator's closeness times its `scale`, the size
    of the terms that it is made of."""

    values: Array
    scale: Array


class Operator(ABC):
    """One problem of one family: immutable, its id its identity. Methods that take `dims` serve hidden shapes too."""

    family: str
    id: str
    dims: dict[str, int]

    @property
    @abstractmethod
    def title(self) -> str: ...

    @abstractmethod
    def shapes(self, dims: Mapping[str, int]) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Inputs and outputs by name, in the order of `buffers`."""

    @property
    @abstractmethod
    def semantics(self) -> str: ...

    @property
    def closeness(self) -> float:
        """Float32 sums in any order stay below; TF32, with its 10 bits of mantissa, does not."""
        return 4e-5

    @property
    @abstractmethod
    def flops(self) -> int:
        """Operations that no algorithm of this operator does without, a multiply-add as two."""

    @property
    def macs(self) -> int:
        return 0

    @property
    def tensor_cores(self) -> bool:
        return False

    @property
    def traits(self) -> tuple[str, ...]:
        return ()

    @property
    @abstractmethod
    def tiny(self) -> dict[str, int]:
        """A small shape with the alignment that the shape of an id often has."""

    @abstractmethod
    def hidden(self, rng: np.random.Generator) -> Sequence[dict[str, int]]:
        """Odd small shapes, drawn."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
        """Signed inputs of different scales, in float64."""

    @property
    def extremes(self) -> str:
        """What `strain` does, for the problem's text."""
        return ""

    def strain(self, rng: np.random.Generator, inputs: dict[str, Array]) -> None:
        """Change some of the drawn rows, in place, to values at which a shortcut overflows."""
        return

    @abstractmethod
    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Right]: ...

    @property
    def spot_rows(self) -> int:
        """How many rows of the outputs are compared where not all are."""
        return 64

    def rows_of(self, inputs: Mapping[str, Array], rows: Array) -> dict[str, Array]:
        """Inputs of which `expected` makes these rows (along the first dimension) of the outputs."""
        first = next(iter(inputs))
        return {**inputs, first: inputs[first][rows]}

    @abstractmethod
    def part(self, rng: np.random.Generator) -> Part:
        """A few thousand elements of the outputs at the shape of the id, drawn so that each may be among them, which
        few of the inputs decide."""

    def baseline(self) -> str:
        """A simple, correct kernel."""
        return (BASELINES / f"{self.family}.cu").read_text(encoding="utf-8")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        inputs, outputs = self.shapes(self.dims)
        return tuple(
            Tensor(name=name, role=role, shape=shape, dtype="float32")  # type: ignore[arg-type]
            for role, group in (("input", inputs), ("output", outputs))
            for name, shape in group.items()
        )


def input_set(operator: Operator, rng: np.random.Generator, name: str, dims: Mapping[str, int]) -> InputSet:
    return InputSet(name, dict(dims), _drawn(operator, rng, dims))


def _drawn(operator: Operator, rng: np.random.Generator, dims: Mapping[str, int]) -> dict[str, Array]:
    import numpy as np

    drawn = operator.draw(rng, dims)
    operator.strain(rng, drawn)
    return {key: np.ascontiguousarray(v, dtype=np.float32) for key, v in drawn.items()}


def full_set(operator: Operator, rng: np.random.Generator) -> InputSet:
    """Of the shape of the id; values recur where drawing them all would take long."""
    import numpy as np

    inputs, _ = operator.shapes(operator.dims)
    if sum(math.prod(shape) for shape in inputs.values()) <= DRAWN_ELEMENTS:
        return input_set(operator, rng, FULL, operator.dims)
    drawn = {
        name: np.resize(rng.standard_normal(min(math.prod(shape), DRAWN_PERIOD)).astype(np.float32), shape)
        for name, shape in inputs.items()
    }
    operator.strain(rng, drawn)
    return InputSet(FULL, operator.dims, drawn)


def small_sets(operator: Operator, rng: np.random.Generator) -> tuple[InputSet, ...]:
    """Those that decide whether a kernel is right."""
    shapes = [("aligned", operator.tiny), *((f"odd {n}", dims) for n, dims in enumerate(operator.hidden(rng), 1))]
    return tuple(
        input_set(operator, rng, f"{name} ({'x'.join(map(str, dims.values()))})", dims)._replace(
            then=_drawn(operator, rng, dims)
        )
        for name, dims in shapes
    )


def tensor_bytes(tensor: Tensor) -> int:
    return 4 * math.prod(tensor.shape)


def moved_bytes(operator: Operator) -> int:
    """Every operand once."""
    return sum(map(tensor_bytes, operator.tensors))


def input_bytes(operator: Operator) -> int:
    return sum(tensor_bytes(tensor) for tensor in operator.tensors if tensor.role == "input")


def check_size(operator: Operator) -> None:
    """Raises UnknownProblemError for what is too large to be judged here."""
    if min(operator.dims.values()) < 1:
        raise UnknownProblemError(operator.id, "every dimension is at least 1")
    if (size := moved_bytes(operator)) > MAX_OPERAND_BYTES:
        raise UnknownProblemError(operator.id, f"the operands take {size} bytes; at most {MAX_OPERAND_BYTES}")
    if operator.flops > MAX_FLOPS:
        raise UnknownProblemError(operator.id, f"{operator.flops} operations; at most {MAX_FLOPS}")


def bound(operator: Operator, device: Machine) -> Bound:
    """Roofline: every operand moved once at DRAM's peak rate, the operations at the peak of their unit."""
    moved = moved_bytes(operator)
    peak = device.tf32_flops_per_ns if operator.tensor_cores else device.fp32_flops_per_ns
    unit = "TF32" if operator.tensor_cores else "fp32"
    limits = {
        f"{moved} bytes / {device.dram_rate:g} GB/s of DRAM": moved / device.dram_rate,
        f"{operator.flops} operations / {peak / 1000:.1f} TFLOP/s {unit}": operator.flops / peak,
    }
    reason = max(limits, key=lambda text: limits[text])
    return Bound(value=round(limits[reason], 1), unit="ns", reason=f"{reason}, on {device.title}")


def floor_ns(operator: Operator, device: Machine) -> float:
    """What no run can be faster than, caches cold: unlike in `bound`, the L2 may keep what was written last, and tensor
    cores may do float32 products in parts."""
    sizes = {role: sum(tensor_bytes(t) for t in operator.tensors if t.role == role) for role in ("input", "output")}
    moved = sizes["input"] + max(0, sizes["output"] - device.l2_bytes)
    # Halves have TF32's mantissa at twice its rate; of three products of such parts a float32 product can be made.
    halves = 2 * device.tf32_flops_per_ns
    peak = halves if operator.tensor_cores else max(device.fp32_flops_per_ns, halves / 3)
    return max(moved / device.dram_rate, operator.flops / peak)


def _rates(device: Machine) -> str:
    """What a plan reckons with, since `launch` runs on this device."""
    return (
        f"{device.title}: {device.sms} SMs at {device.clock_ghz:g} GHz with {device.fp32_lanes} lanes each; L2 "
        f"{device.l2_bytes >> 20} MiB at {device.l2_rate:g} GB/s, DRAM {device.dram_rate:g} GB/s; "
        f"{device.shared_bytes >> 10} KiB of shared memory and {device.warps} warps per SM."
    )


def describe(operator: Operator) -> Problem:
    """The problem as tools show it. Raises EnvironmentLackError for an unknown device."""
    sizes = {role: sum(tensor_bytes(t) for t in operator.tensors if t.role == role) for role in ("input", "output")}
    near, known = operator.closeness, KERNELBENCH.get(operator.family)
    return Problem(
        id=operator.id,
        target=TARGET,
        family=operator.family,
        title=f"{operator.title} (KernelBench {known})" if known else operator.title,
        dims=operator.dims,
        tensors=operator.tensors,
        signature=ENTRY,
        semantics=operator.semantics,
        inputs="drawn anew for every kernel and seed, signed, rows of different scales; at a small aligned shape, at "
        f"odd hidden shapes, and at the shape of the id, of which some blocks are run{operator.extremes}",
        tolerance="exact"
        if near == 0
        else f"|got - expected| <= {near:g} x root of the sum of squares of the element's terms, expected in float64",
        work=Work(macs=operator.macs, bytes_in=sizes["input"], bytes_out=sizes["output"]),
        bound=bound(operator, machine()),
        rules=RULES,
        traits=operator.traits,
        language="cuda",
        timing=f"{TIMING}\n{_rates(machine())}",
    )


def summary(operator: Operator) -> ProblemSummary:
    return ProblemSummary(id=operator.id, target=TARGET, family=operator.family, title=operator.title)
