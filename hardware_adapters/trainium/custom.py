"""A user's own problem as an operator of this target: its reference is the user's, and it may come without a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from ..base import InvalidProblemError, Tensor
from ..custom.definition import Definition
from .operators import TARGET, Closeness, InputSet, Operator, outputs_of, tensor_bytes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

MAX_BYTES = 256 << 20  # of all tensors: the reference is worked out in float64, three times


@dataclass(frozen=True)
class Custom(Operator):
    """`level`: halvings of the inputs' ranges after which few integers among the outputs saturate."""

    definition: Definition
    level: int = 0

    @property
    def id(self) -> str:  # type: ignore[override]
        return self.definition.id

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.definition.family

    @property
    def dims(self) -> dict[str, int]:  # type: ignore[override]
        return self.definition.dims

    @property
    def title(self) -> str:
        return self.definition.title

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.definition.tensors

    def check(self) -> None:
        """Raises InvalidProblemError."""
        if self.definition.target != TARGET:
            raise InvalidProblemError("target", f"{self.definition.target!r} is not {TARGET!r}")
        if (size := sum(map(tensor_bytes, self.tensors))) > MAX_BYTES:
            raise InvalidProblemError("inputs", f"the tensors take {size} bytes; at most {MAX_BYTES}")

    @property
    def semantics(self) -> str:
        what = "these NumPy expressions" if self.definition.language == "expression" else "the functions of this file"
        text = "\n".join(f"    {line}" for line in self.definition.reference.splitlines())
        return f"What {what} compute, integers in int64 and other numbers in float64:\n{text}"

    @property
    def inputs_text(self) -> str:
        from ..custom.inputs import describe

        return describe(self.definition, self.level)

    @property
    def closeness(self) -> Closeness:
        return Closeness(0.0, 0.0)

    def near(self, expected: Array, *, published: bool = False) -> Closeness:
        """Integers are exact; of others a share of the largest magnitude expected in the output."""
        import numpy as np

        if np.issubdtype(expected.dtype, np.integer):
            return self.closeness
        return Closeness((self.definition.tolerance or 0.0) * float(np.abs(expected).max(initial=0)), 0.0)

    @property
    def tolerance(self) -> str:
        if self.definition.tolerance is None:
            return "exact: every element must be equal"
        exact = any(t.dtype.startswith("int") for t in outputs_of(self))
        within = f"within {self.definition.tolerance:g} of its output's largest magnitude, against float64"
        return f"every element {within}" + ("; integers exactly" if exact else "")

    @property
    def macs(self) -> int:
        return self.definition.macs or 0

    @property
    def known_macs(self) -> int | None:
        return self.definition.macs

    @property
    def needed_bytes(self) -> int:
        """Of the outputs, since every element is checked; how much of the inputs must be read is not known."""
        return sum(map(tensor_bytes, outputs_of(self)))

    @property
    def traits(self) -> None:
        """Nothing is known of an operator that only its user knows."""
        return None

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Blocks, and runs on to its own time limit when nobody waits any more: evaluations use `results`."""
        return anyio.run(self.results, [InputSet("given", False, dict(inputs))])[0]

    async def results(self, sets: Sequence[InputSet]) -> list[dict[str, Array]]:
        """In a process beside us. Raises InvalidProblemError."""
        from ..custom.reference import results

        return await results(self.definition, [chosen.inputs for chosen in sets])

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        full, _, dense = self.sets(rng)
        return full.inputs, dense.inputs

    def sets(self, rng: np.random.Generator) -> tuple[InputSet, ...]:
        from ..custom.inputs import dense, sparse, whole

        return (
            InputSet("full", True, whole(self.definition, rng)),
            InputSet("sparse", False, sparse(self.definition, rng)),
            InputSet("dense", False, dense(self.definition, rng, self.level)),
        )

    def baseline(self) -> str | None:
        return self.definition.kernel
