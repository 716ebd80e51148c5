"""What a run looks like from outside, derived from its journal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from ...hardware_adapters.base import Evaluation, Record
from ..errors import LimitType
from .candidate import ROOT, Candidate, journalled, place, stand
from .confirmation import Confirmation, confirmation, ranked

RunState = Literal["running", "interrupted", "finished", "cancelled", "failed"]


class Tokens(Record):
    """Of all model calls; cache reads and writes are apart from `input`."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output + self.cache_write + self.cache_read

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(**{name: getattr(self, name) + getattr(other, name) for name in Tokens.model_fields})


class Mark(Record):
    """A kernel's result, short."""

    candidate: str
    latency: float
    unit: str
    utilisation: float | None = None
    source: Literal["estimated", "measured"] = Field(description="Where the latency comes from")
    source_path: str | None = Field(default=None, description="File with the kernel")

    @classmethod
    def of(cls, candidate: Candidate, path: Path | None = None) -> Self | None:
        """None for a kernel that did not pass."""
        result = candidate.evaluation
        if result is None or not result.passed or result.latency is None:
            return None
        return cls(
            candidate=candidate.id,
            latency=result.latency.value,
            unit=result.latency.unit,
            utilisation=result.utilisation,
            source=result.source,
            source_path=str(path) if path else None,
        )


class Step(Record):
    """One step on the way from the first kernel to the best."""

    candidate: str
    option: str | None = Field(default=None, description="Menu option applied; None for the first kernel")
    plan: str | None = None
    latency: float | None = None


class Searched(Record):
    """Why a search ended whose kernels are then confirmed."""

    reason: str
    limit: LimitType | None = None


class RunRow(Record):
    """What a run was started with."""

    run_id: str
    problem: str
    model: str
    settings: dict[str, Any]
    source: str
    created: float

    def with_limits(self, changes: Iterable[Mapping[str, Any]]) -> Self:
        """With the limits that it was resumed with, the last ones last."""
        settings = dict(self.settings)
        for change in changes:
            settings |= change
        return self.model_copy(update={"settings": settings})


class RunStatus(Record):
    run_id: str
    problem: str
    engine: str | None = Field(description="None until the first evaluation tells it")
    model: str
    state: RunState = Field(description="interrupted: its process died; resume goes on")
    iteration: int = Field(description="The iteration being worked on; 0 before the first")
    iterations: int
    evaluations: int = Field(description="Kernels evaluated, the first one included; duplicates are not")
    duplicates: int = 0
    model_calls: int
    tokens: Tokens
    cost_usd: float | None = Field(description="None: the model's price is not known")
    wall_s: float
    baseline: Mark | None = Field(default=None, description="The kernel the search started from")
    best: Mark | None = Field(
        default=None,
        description="Latency by the search's engine; once kernels were confirmed, the best of those, or none",
    )
    speedup: float | None = Field(default=None, description="Baseline latency / best latency")
    confirmations: tuple[Confirmation, ...] = Field(
        default=(), description="What the engine `confirm` said of the fastest kernels, the best first"
    )
    reused: str | None = Field(default=None, description="Run whose schedule was replayed first")
    stop_reason: str | None = None
    limit: LimitType | None = Field(
        default=None, description="Which limit ended it; resumed with more of it, it goes on"
    )
    continues: str | None = Field(default=None, description="The run whose best kernel this one started from")
    lineage: tuple[Step, ...] = Field(default=(), description="From the first kernel to the best")
    best_source: str | None = None

    @property
    def active(self) -> bool:
        return self.state == "running"


@dataclass
class _Told:
    """What a run's events say, taken in one after the other."""

    state: RunState = "running"
    reason: str | None = None
    limit: LimitType | None = None
    continues: str | None = None
    iteration: int = 0
    model_calls: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = 0.0
    duplicates: int = 0
    standing: dict[str, Candidate] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    searched: bool = False
    confirmed: dict[str, Confirmation] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> None:
        data, kind = event["data"], event["kind"]
        if kind == "model":
            self.model_calls += 1
            self.tokens.update(data["reply"]["usage"])
            price = data["reply"]["cost_usd"]
            self.cost_usd = None if self.cost_usd is None or price is None else self.cost_usd + price
        elif kind == "candidate":
            self.duplicates += data.get("duplicate_of") is not None
            stand(self.standing, journalled(event))
        elif kind == "lessons":
            self.schedule = data["schedule"] or {}
        elif kind == "confirm":
            self.confirmed[data["candidate"]] = confirmation(data, self._evaluated(data["candidate"]))
        elif kind in ("searched", "limits"):
            self.searched = kind == "searched"  # larger limits open the search again
        elif kind == "phase":
            self.iteration = max(self.iteration, data["iteration"])
        elif kind == "origin":
            self.continues = data.get("continues")
        elif kind == "state":
            self.state, self.reason, self.limit = data["state"], data.get("reason"), data.get("limit")

    def _evaluated(self, identity: str) -> Evaluation:
        """Of the candidate, or of the one it is a duplicate of."""
        found = self.standing[self.standing[identity].duplicate_of or identity]
        assert found.evaluation is not None  # only kernels that passed are confirmed
        return found.evaluation


def derive(run: RunRow, events: Sequence[Mapping[str, Any]], *, alive: bool, now: float) -> RunStatus:
    """The status from a run's row and its events in order (see journal.py). `alive`: a process drives it now."""
    told = _Told()
    for event in events:
        told.take(event)
    marks = {candidate.id: mark for candidate in told.standing.values() if (mark := Mark.of(candidate))}
    best, confirmations = _best(told, marks)
    baseline = marks.get(ROOT)
    evaluations = {key: c.evaluation for key, c in told.standing.items() if c.evaluation is not None}
    first = evaluations.get(ROOT)
    return RunStatus(
        run_id=run.run_id,
        problem=run.problem,
        engine=first.engine if first else run.settings.get("engine"),
        model=run.model,
        state="interrupted" if told.state == "running" and not alive else told.state,
        iteration=told.iteration,
        iterations=run.settings["iterations"] + len(told.schedule.get("steps", ())),
        evaluations=len(evaluations),
        duplicates=told.duplicates,
        model_calls=told.model_calls,
        tokens=Tokens(**told.tokens),
        cost_usd=told.cost_usd,
        wall_s=round(wall_seconds(events, now if alive else None), 3),
        baseline=baseline,
        best=best,
        speedup=baseline.latency / best.latency if baseline and best else None,
        confirmations=confirmations,
        reused=told.schedule.get("run_id"),
        stop_reason=told.reason,
        limit=told.limit,
        continues=told.continues,
        lineage=lineage(best.candidate if best else None, told.standing),
    )


def _best(told: _Told, marks: Mapping[str, Mark]) -> tuple[Mark | None, tuple[Confirmation, ...]]:
    """The best kernel, and the confirmations with that one marked. Once a search is over, and kernels of it were
    confirmed, only these can be the best; until then any but those that were refused."""
    # By the name that the kernel has in the end: a place before may turn out to have the same one.
    named = {told.standing[name].duplicate_of or name: found for name, found in told.confirmed.items()}
    confirmations = ranked(found.model_copy(update={"candidate": name}) for name, found in named.items())
    if told.searched and confirmations:
        return marks[confirmations[0].candidate] if confirmations[0].best else None, confirmations
    refused = {c.candidate for c in confirmations if not c.passed}
    eligible = [m for m in marks.values() if m.candidate not in refused]
    best = min(eligible, key=lambda m: (m.latency, place(m.candidate)), default=None)
    chosen = best and best.candidate
    return best, tuple(c.model_copy(update={"best": c.candidate == chosen}) for c in confirmations)


def wall_seconds(events: Iterable[Mapping[str, Any]], now: float | None) -> float:
    """Time in which a process drove the run: each session from its start to its last event (or to now)."""
    total, start, last = 0.0, None, 0.0
    for event in events:
        if event["kind"] == "limits":  # given before the session begins that goes on with them
            continue
        if event["kind"] == "session":
            total += last - start if start is not None else 0.0
            start = event["at"]
        last = event["at"]
    if start is None:
        return 0.0
    return max(0.0, total + (max(now, last) if now is not None else last) - start)


def elapsed(events: Iterable[dict[str, Any]]) -> Iterator[float]:
    """For each event the `wall_seconds` of those up to it."""
    total, start, last = 0.0, None, 0.0
    for event in events:
        if event["kind"] == "session":
            total += last - start if start is not None else 0.0
            start = event["at"]
        if event["kind"] != "limits":
            last = event["at"]
        yield 0.0 if start is None else max(0.0, total + last - start)


def search_seconds(events: Iterable[dict[str, Any]]) -> float:
    """Of `wall_seconds` those that count for the time limit: confirming does not."""
    searching: list[dict[str, Any]] = []
    over = False
    for event in events:
        if event["kind"] == "limits":
            over = False
        elif not over:
            searching.append(event)
            over = event["kind"] == "searched"
    return wall_seconds(searching, None)


def lineage(identity: str | None, standing: Mapping[str, Candidate]) -> tuple[Step, ...]:
    """The steps from the first kernel to this candidate."""
    steps: list[Step] = []
    while identity is not None:
        found = standing[identity]
        plan = found.plan
        latency = found.latency if found.passed else None
        option, text = (plan.option, plan.text) if plan else (None, None)
        steps.append(Step(candidate=identity, option=option, plan=text, latency=latency))
        identity = found.parent
    return tuple(reversed(steps))


def gains(steps: Iterable[Step]) -> Iterator[float | None]:
    """Of each step, the last known latency before it over its own: above 1 it got faster."""
    before: float | None = None
    for step in steps:
        yield before / step.latency if before and step.latency else None
        before = step.latency or before
