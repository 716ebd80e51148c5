"""Confirming: the fastest kernels of a search, judged once more by an engine too slow to search with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from ...hardware_adapters.base import Evaluation, LatencySource, Record, Verdict
from .candidate import Candidate, place

MAX_MESSAGE = 300
_TIMES = ("cycles", "ns", "us")  # units of latencies that say which kernel is faster; instructions do not


class Confirmation(Record):
    """What the confirming engine said of a kernel, beside what the search's engine had said."""

    candidate: str
    engine: str
    verdict: Verdict
    message: str = ""
    latency: float | None = Field(default=None, description="By the confirming engine; None where it did not pass")
    unit: str | None = None
    source: LatencySource | None = None
    speed: float | None = Field(
        default=None,
        description="Against the first that was confirmed, timed in turns with it; 1 where the difference is noise",
    )
    searched_latency: float = Field(description="By the engine of the search")
    searched_unit: str
    best: bool = Field(default=False, description="The kernel that the run reports as its best")

    @property
    def figure(self) -> str:
        """Its latency in words; a count of instructions is never shown as a time."""
        if self.latency is None:
            return self.verdict
        kind = self.source if self.unit in _TIMES else "not a time"
        return f"{self.latency:,.0f} {self.unit} on {self.engine} ({kind})"

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


def fastest(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    """The fastest that passed, no kernel twice."""
    distinct: dict[str, Candidate] = {}
    for candidate in sorted((c for c in candidates if c.passed), key=lambda c: c.order):
        distinct.setdefault(candidate.digest, candidate)
    return list(distinct.values())[:count]


def confirmation(data: dict[str, Any], searched: Evaluation) -> Confirmation:
    """From the journalled event and the evaluation of the search."""
    said = Evaluation.model_validate(data["evaluation"])
    before = searched.latency
    assert before is not None  # only kernels that passed are confirmed
    latency = said.latency if said.passed else None
    return Confirmation(
        candidate=data["candidate"],
        engine=said.engine,
        verdict=said.verdict,
        message=said.message[:MAX_MESSAGE],
        latency=latency and latency.value,
        unit=latency and latency.unit,
        source=said.source if latency else None,
        speed=(said.beside.speed if said.beside.certain else 1.0) if latency and said.beside else None,
        searched_latency=before.value,
        searched_unit=before.unit,
    )


def ranked(found: Iterable[Confirmation]) -> tuple[Confirmation, ...]:
    """The best first, and marked; kernels that did not pass last, none of them ever the best.

    The confirming engine's latency decides where it is a time; where it only counts (instructions), the search's. Where
    all were timed in turns with one of them, the speeds against that one decide: latencies drift between runs.
    """
    found = tuple(found)
    in_turns = sum(c.passed and c.speed is None for c in found) == 1 < sum(c.passed for c in found)

    def order(c: Confirmation) -> tuple[Any, ...]:
        time = c.latency if c.latency is not None and c.unit in _TIMES else 0.0
        if in_turns:
            time = 1.0 / (c.speed or 1.0)
        return (not c.passed, time, c.searched_latency, place(c.candidate))

    ordered: Sequence[Confirmation] = sorted(found, key=order)
    return tuple(c.model_copy(update={"best": index == 0 and c.passed}) for index, c in enumerate(ordered))
