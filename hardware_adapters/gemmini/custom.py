"""A user's own problem as an operator of this target, and what is done differently for it: its reference is his."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

from ..base import InvalidProblemError, Tensor
from ..custom.definition import Definition
from .operators import (
    CALL_RULES,
    DEFAULT_CONFIGURATION,
    FP32_CONFIGURATION,
    FP32_RULES,
    GENERAL_RULES,
    INT8_RULES,
    TARGET,
    Operator,
    too_large,
)

if TYPE_CHECKING:
    import numpy as np

    from .operators import InputSet

    Array = np.ndarray

_MACS_PER_CYCLE = {DEFAULT_CONFIGURATION: 256, FP32_CONFIGURATION: 16}
# Until its first kernel was run nothing is known of a problem's work; afterwards no kernel needs many times as much.
MOST_INSTRUCTIONS, LEAST_INSTRUCTIONS, TIMES_THE_FIRST = 2_000_000_000, 20_000_000, 16


class Custom(NamedTuple):
    """`level`: halvings of the inputs' ranges after which few outputs saturate. `instructions`: of one call of the
    first kernel, None before it was run."""

    definition: Definition
    level: int = 0
    instructions: int | None = None

    @property
    def id(self) -> str:
        return self.definition.id

    @property
    def family(self) -> str:
        return self.definition.family

    @property
    def title(self) -> str:
        return self.definition.title

    @property
    def dims(self) -> dict[str, int]:
        return self.definition.dims

    @property
    def traits(self) -> None:
        """The families have names for what they do; of an operator that only its user knows nothing is known."""
        return None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.definition.tensors

    @property
    def macs(self) -> int | None:
        return self.definition.macs

    @property
    def configuration(self) -> str:
        """Of the simulator: the 4x4 array computes in float32, the 16x16 array in int8."""
        floats = any(t.dtype == "float32" for t in self.tensors)
        return FP32_CONFIGURATION if floats else DEFAULT_CONFIGURATION

    @property
    def macs_per_cycle(self) -> int:
        return _MACS_PER_CYCLE[self.configuration]

    @property
    def instruction_limit(self) -> int:
        """Instructions a call may take before it counts as an endless loop."""
        if self.instructions is None:
            return MOST_INSTRUCTIONS
        return min(MOST_INSTRUCTIONS, max(LEAST_INSTRUCTIONS, TIMES_THE_FIRST * self.instructions))

    def refused(self) -> str | None:
        if wide := [t.name for t in self.tensors if t.dtype == "bfloat16"]:
            return f"{', '.join(wide)}: no configuration of the array has bfloat16"
        if len({t.dtype == "float32" for t in self.tensors}) > 1:
            return "float32 and integers in one problem: no configuration of the array has both"
        return too_large(self)

    def check(self) -> None:
        """Raises InvalidProblemError for what this target has no machine for."""
        if self.definition.target != TARGET:
            raise InvalidProblemError("target", f"{self.definition.target!r} is not {TARGET!r}")
        if refused := self.refused():
            raise InvalidProblemError("inputs", refused)

    @property
    def semantics(self) -> str:
        what = "these NumPy expressions" if self.definition.language == "expression" else "the functions of this file"
        text = "\n".join(f"    {line}" for line in self.definition.reference.splitlines())
        return (
            f"What {what} compute, where integers are int64 and other numbers float64 until they are stored; all "
            f"arrays row-major without padding:\n{text}"
        )

    @property
    def input_sets_text(self) -> str:
        from ..custom.inputs import describe

        return describe(self.definition, self.level)

    @property
    def closeness(self) -> float | None:
        return self.definition.tolerance

    @property
    def tolerance(self) -> str:
        if self.closeness is None:
            return "exact: every element must be equal"
        return f"every element within {self.closeness:g} of its output's largest magnitude, against float64"

    @property
    def rules(self) -> tuple[str, ...]:
        names = " and ".join(t.name for t in self.definition.outputs)
        machine = FP32_RULES if self.configuration == FP32_CONFIGURATION else INT8_RULES
        return (*(rule.format(outputs=names) for rule in GENERAL_RULES), *machine, *CALL_RULES)

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Blocks, and runs on to its own time limit when nobody waits any more: evaluations use `results_of`."""
        from ..custom.reference import results

        return anyio.run(results, self.definition, [inputs])[0]

    def draw(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        from ..custom.inputs import dense, sparse, whole
        from .operators import InputSet

        return (
            InputSet("full", True, whole(self.definition, rng)),
            InputSet("sparse", False, sparse(self.definition, rng)),
            InputSet("dense", False, dense(self.definition, rng, self.level)),
        )

    def mistakes(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
        """None are known of an operator that only its user knows."""
        return iter(())

    def baseline(self) -> str:
        assert self.definition.kernel is not None  # this target takes none without
        return self.definition.kernel

    def hardware_loop(self) -> str | None:
        return None


def sets_of(operator: Operator, rng: np.random.Generator) -> tuple[InputSet, ...]:
    """The data of one evaluation. A user's problem has proven itself on several draws before it was taken in; of the
    others, small ones do so on every draw."""
    from .inputs import input_sets

    return operator.draw(rng) if isinstance(operator, Custom) else input_sets(operator, rng)


async def results_of(operator: Operator, sets: Sequence[InputSet]) -> list[dict[str, Array]]:
    """What every set's outputs should be: in a thread, or, of a user's own reference, in a process beside us.
    Raises InvalidProblemError."""
    if isinstance(operator, Custom):
        from ..custom.reference import results

        return await results(operator.definition, [chosen.inputs for chosen in sets])

    def compute() -> list[dict[str, Array]]:
        return [operator.expected(chosen.inputs) for chosen in sets]

    return await anyio.to_thread.run_sync(compute, abandon_on_cancel=True)
