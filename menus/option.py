"""What one entry of an optimisation menu says. Types only: the agent imports this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*$", max_length=40)]
Sentence = Annotated[str, Field(min_length=10, max_length=260)]
Paragraph = Annotated[str, Field(min_length=10, max_length=700)]


class Option(BaseModel):
    """One optimisation: a piece of domain knowledge small enough to plan and apply by itself.

    The lengths are limits on prompt cost: a listing shows `title`, `when` and `effect` of every option,
    a plan shows one option whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: Identifier = Field(description="Stable name; plans, journals and rewrites refer to it")
    title: Annotated[str, Field(min_length=5, max_length=80)] = Field(description="The change, as an imperative")
    families: tuple[Identifier, ...] = Field(min_length=1, description="Operator families it applies to, e.g. gemm")
    triggers: tuple[Identifier, ...] = Field(
        (), description="Bottleneck ids of a profile that this option addresses, the most typical first"
    )
    needs: tuple[Identifier, ...] = Field((), description="Traits without which a problem has no use for it")
    when: Sentence = Field(description="The situation in which it pays")
    how: Paragraph = Field(description="What to change in the kernel")
    preconditions: Paragraph = Field(description="What must hold for the result to stay correct, and to be faster")
    example: Annotated[str, Field(min_length=5, max_length=1400)] = Field(
        description="Statements of a kernel's body that compile as they stand"
    )
    effect: Sentence = Field(description="Expected effect, with measured figures")
    provenance: Sentence = Field(description="Where idea and figures come from")

    def addresses(self, bottlenecks: Sequence[str]) -> int | None:
        """Index of the first of these bottlenecks that the option is meant for."""
        return next((index for index, name in enumerate(bottlenecks) if name in self.triggers), None)
