"""What a run looks like from outside, derived from its journal alone."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..hardware_adapters.base import Evaluation, Record
from .candidate import ROOT, place
from .errors import LimitType

RunState = Literal["running", "interrupted", "finished", "cancelled", "failed"]


class Tokens(Record):
    """Of all model calls; cache reads and writes are apart from `input`."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0


class Mark(Record):
    """A kernel's result, short."""

    candidate: str
    latency: float
    unit: str
    utilisation: float | None = None
    source: Literal["estimated", "measured"] = Field(description="Where the latency comes from")
    source_path: str | None = Field(default=None, description="File with the kernel")


class Step(Record):
    """One step on the way from the first kernel to the best."""

    candidate: str
    option: str | None = Field(default=None, description="Menu option applied; None for the first kernel")
    plan: str | None = None
    latency: float | None = None


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
    best: Mark | None = None
    speedup: float | None = Field(default=None, description="Baseline latency / best latency")
    stop_reason: str | None = None
    limit: LimitType | None = Field(
        default=None, description="Which limit ended it; resumed with more of it, it goes on"
    )
    lineage: tuple[Step, ...] = Field(default=(), description="From the first kernel to the best")
    best_source: str | None = None

    @property
    def active(self) -> bool:
        return self.state == "running"


def derive(run: dict[str, Any], events: list[dict[str, Any]], *, alive: bool, now: float) -> RunStatus:
    """The status from a run's row and its events in order (see journal.py). `alive`: a process drives it now."""
    tokens: dict[str, int] = {}
    cost: float | None = 0.0
    calls = duplicates = iteration = 0
    evaluations: dict[str, Evaluation] = {}
    candidates: dict[str, dict[str, Any]] = {}
    state: str = "running"
    reason: str | None = None
    limit: LimitType | None = None
    for event in events:
        data, kind = event["data"], event["kind"]
        if kind == "model":
            calls += 1
            for name, count in data["reply"]["usage"].items():
                tokens[name] = tokens.get(name, 0) + count
            price = data["reply"]["cost_usd"]
            cost = None if cost is None or price is None else cost + price
        elif kind == "candidate":
            candidates[data["id"]] = data
            if data.get("duplicate_of"):
                duplicates += 1
            elif data.get("evaluation"):
                evaluations[data["id"]] = Evaluation.model_validate(data["evaluation"])
        elif kind == "phase":
            iteration = max(iteration, data["iteration"])
        elif kind == "state":
            state, reason, limit = data["state"], data.get("reason"), data.get("limit")
    if state == "running" and not alive:
        state = "interrupted"
    marks = {key: mark for key, value in evaluations.items() if (mark := _mark(key, value))}
    best = min(marks.values(), key=lambda m: (m.latency, place(m.candidate)), default=None)
    baseline = marks.get(ROOT)
    first = evaluations.get(ROOT)
    return RunStatus(
        run_id=run["run_id"],
        problem=run["problem"],
        engine=first.engine if first else run["settings"].get("engine"),
        model=run["model"],
        state=state,  # pyright: ignore[reportArgumentType]
        iteration=iteration,
        iterations=run["settings"]["iterations"],
        evaluations=len(evaluations),
        duplicates=duplicates,
        model_calls=calls,
        tokens=Tokens(**tokens),
        cost_usd=cost,
        wall_s=round(wall_seconds(events, now if alive else None), 3),
        baseline=baseline,
        best=best,
        speedup=baseline.latency / best.latency if baseline and best else None,
        stop_reason=reason,
        limit=limit,
        lineage=_lineage(best.candidate if best else None, candidates, evaluations),
    )


def wall_seconds(events: list[dict[str, Any]], now: float | None) -> float:
    """Time in which a process drove the run: each session from its start to its last event (or to now)."""
    total, start, last = 0.0, None, 0.0
    for event in events:
        if event["kind"] == "session":
            total += last - start if start is not None else 0.0
            start = event["at"]
        last = event["at"]
    if start is None:
        return 0.0
    return max(0.0, total + (max(now, last) if now is not None else last) - start)


def _mark(identity: str, evaluation: Evaluation) -> Mark | None:
    if not evaluation.passed or evaluation.latency is None:
        return None
    return Mark(
        candidate=identity,
        latency=evaluation.latency.value,
        unit=evaluation.latency.unit,
        utilisation=evaluation.utilisation,
        source=evaluation.source,
    )


def _lineage(
    identity: str | None, candidates: dict[str, dict[str, Any]], evaluations: dict[str, Evaluation]
) -> tuple[Step, ...]:
    steps: list[Step] = []
    while identity is not None:
        data = candidates[identity]
        plan = data.get("plan") or {}
        evaluation = evaluations.get(identity)
        latency = evaluation.latency.value if evaluation and evaluation.latency else None
        steps.append(Step(candidate=identity, option=plan.get("option"), plan=plan.get("text"), latency=latency))
        identity = data.get("parent")
    return tuple(reversed(steps))
