"""Plans, candidates, and what became of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

from ...hardware_adapters.base import Evaluation, Record, kernel_identity

ROOT = "0"  # id of the kernel a search starts from


class Plan(Record):
    """One optimisation to apply: a menu option and the words of the model."""

    option: str
    text: str = Field(description="What to change and why")
    variant: str | None = Field(default=None, description="Name of a ready-made rewrite, where the plan is to use one")
    bottleneck: str | None = Field(default=None, description="The parent's costliest, when the plan was made")
    model: str | None = Field(default=None, description="Who made the plan, where a run has several models")


class Candidate(Record):
    """A kernel at its place in the search. The id tells it: iteration.parent.plan.code, and `rN` for the Nth repair."""

    id: str
    iteration: int = Field(description="0 for the kernel the search starts from")
    parent: str | None = None
    plan: Plan | None = None
    source: str
    model: str | None = Field(default=None, description="Who wrote the code, where a run has several models")
    evaluation: Evaluation | None = Field(default=None, description="None for a duplicate")
    duplicate_of: str | None = None

    @property
    def digest(self) -> str:
        """Candidates that share it are one kernel: judged once, kept once."""
        return kernel_identity(self.source)

    @property
    def code(self) -> str:
        """What makes two kernels one for the hardware: the machine code where it is known, else the source."""
        compiled = self.evaluation.compilation if self.evaluation else None
        return (compiled and compiled.code) or self.digest

    @property
    def passed(self) -> bool:
        return self.evaluation is not None and self.evaluation.passed and self.evaluation.latency is not None

    @property
    def latency(self) -> float:
        """In the engine's unit; infinite for what did not pass."""
        if self.evaluation is None or not self.evaluation.passed or self.evaluation.latency is None:
            return math.inf
        return self.evaluation.latency.value

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts by latency, then by place: never by when an evaluation happened to finish."""
        return (self.latency, place(self.id))


def journalled(event: Mapping[str, Any]) -> Candidate:
    """Of an event of the kind `candidate`; its source is empty where events are read without."""
    return Candidate.model_validate({**event["data"], "source": event.get("source", "")})


def candidates_of(events: Iterable[Mapping[str, Any]]) -> list[Candidate]:
    """Those among a run's events, in the order in which they were finished."""
    return [journalled(event) for event in events if event["kind"] == "candidate"]


def place(identity: str) -> tuple[int, ...]:
    """`3.0.2.1r1` -> (3, 0, 2, 1, 1)."""
    return tuple(int(part) for part in identity.replace("r", ".").split("."))


def steps_to(candidate: Candidate, by_id: Mapping[str, Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """(parent, child) of each step that led to a candidate, the last one first."""
    while candidate.parent is not None:
        parent = by_id[candidate.parent]
        yield parent, candidate
        candidate = parent


def canonical(candidates: Iterable[Candidate]) -> list[Candidate]:
    """In order of place; of candidates that are one kernel the first by place has the evaluation, the others are its
    duplicates: whichever of them happened to be evaluated. `candidates`: in the order they were finished."""
    standing: dict[str, Candidate] = {}
    for candidate in candidates:
        stand(standing, candidate)
    return sorted(standing.values(), key=lambda c: place(c.id))


def stand(standing: dict[str, Candidate], candidate: Candidate) -> Candidate:
    """Add a candidate to those of a run, which are canonical, and keep them so. Returns the kernel's first by place."""
    standing[candidate.id] = candidate
    first = standing.get(candidate.duplicate_of) if candidate.duplicate_of is not None else None
    if first is None:  # journals of versions before this one can have a duplicate of what never finished
        return candidate
    if first.duplicate_of is not None:  # it was evaluated, but is not the first by place
        first = standing[first.duplicate_of]
    if place(first.id) < place(candidate.id):
        standing[candidate.id] = candidate.model_copy(update={"duplicate_of": first.id})
        return first
    for other in standing.values():
        if other.duplicate_of == first.id:
            standing[other.id] = other.model_copy(update={"duplicate_of": candidate.id})
    standing[first.id] = first.model_copy(update={"duplicate_of": candidate.id, "evaluation": None})
    standing[candidate.id] = candidate.model_copy(update={"duplicate_of": None, "evaluation": first.evaluation})
    return standing[candidate.id]


class Attempt(Record):
    """What came of one option applied to one kernel: the search's memory."""

    option: str
    variant: str | None
    verdict: str
    ratio: float | None = Field(description="Latency of the parent over that of the child; above 1 it got faster")
    bottleneck: str | None = None
    planner: str | None = None
    coder: str | None = None


def attempts(candidates: Iterable[Candidate]) -> dict[str, list[Attempt]]:
    """Per parent's digest, everything that was tried on it, in order of place."""
    known = sorted(candidates, key=lambda c: place(c.id))
    by_id = {candidate.id: candidate for candidate in known}
    found: dict[str, list[Attempt]] = {}
    for child in known:
        if child.parent is None or child.plan is None:
            continue
        parent = by_id[child.parent]
        result = by_id.get(child.duplicate_of, child) if child.duplicate_of else child
        ratio = parent.latency / result.latency if parent.passed and result.passed else None
        verdict = "duplicate" if child.duplicate_of else (child.evaluation.verdict if child.evaluation else "unknown")
        entry = Attempt(
            option=child.plan.option,
            variant=child.plan.variant,
            verdict=verdict,
            ratio=ratio,
            bottleneck=child.plan.bottleneck,
            planner=child.plan.model,
            coder=child.model,
        )
        found.setdefault(parent.digest, []).append(entry)
    return found
