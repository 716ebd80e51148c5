"""What became of every kernel of a run, in the order in which the kernels were finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from ...hardware_adapters.base import Evaluation, Record
from .candidate import Candidate, Plan, journalled, stand


class Entry(Record):
    """One candidate. A duplicate has the figures of the kernel that it repeats."""

    candidate: str
    parent: str | None = None
    option: str | None = Field(default=None, description="Menu option applied; None for the first kernel")
    verdict: str = Field(description="`duplicate` for a kernel that was there before")
    duplicate_of: str | None = None
    latency: float | None = Field(default=None, description="None for what did not pass")
    unit: str | None = None
    utilisation: float | None = None
    ratio: float | None = Field(default=None, description="Latency of the parent over this one: above 1 it got faster")
    plan: Plan | None = None
    evaluation: Evaluation | None = None
    evaluated: int = Field(description="Evaluations of the run up to here")
    model_calls: int = Field(description="Model calls of the run up to here")


def history(events: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """From a run's events in order (see journal.py); sources are not needed."""
    candidates: dict[str, Candidate] = {}
    counts: dict[str, tuple[int, int]] = {}
    evaluated = calls = 0
    for event in events:
        if event["kind"] == "model":
            calls += 1
        elif event["kind"] == "candidate":
            candidate = journalled(event)
            evaluated += candidate.duplicate_of is None
            stand(candidates, candidate)
            counts[candidate.id] = evaluated, calls
    # A duplicate may be entered before the kernel that it repeats is finished: so all are read first.
    return [_entry(candidate, candidates, *counts[candidate.id]) for candidate in candidates.values()]


def _entry(candidate: Candidate, candidates: Mapping[str, Candidate], evaluated: int, calls: int) -> Entry:
    judged = _judged(candidate, candidates)
    parent = candidates.get(candidate.parent) if candidate.parent else None
    before = _judged(parent, candidates) if parent else None
    evaluation = judged.evaluation if judged else None
    passed = judged is not None and judged.passed and evaluation is not None and evaluation.latency is not None
    return Entry(
        candidate=candidate.id,
        parent=candidate.parent,
        option=candidate.plan.option if candidate.plan else None,
        verdict="duplicate" if candidate.duplicate_of else evaluation.verdict if evaluation else "unknown",
        duplicate_of=candidate.duplicate_of,
        latency=judged.latency if judged and passed else None,
        unit=evaluation.latency.unit if evaluation and evaluation.latency else None,
        utilisation=evaluation.utilisation if evaluation and passed else None,
        ratio=before.latency / judged.latency if judged and passed and before and before.passed else None,
        plan=candidate.plan,
        evaluation=evaluation,
        evaluated=evaluated,
        model_calls=calls,
    )


def _judged(candidate: Candidate, candidates: Mapping[str, Candidate]) -> Candidate | None:
    """The candidate that was evaluated in place of this one; None when that never ended."""
    seen: set[str] = set()
    while candidate.duplicate_of is not None and candidate.id not in seen:
        seen.add(candidate.id)
        other = candidates.get(candidate.duplicate_of)
        if other is None:
            return None
        candidate = other
    return candidate if candidate.duplicate_of is None else None


def reached(entries: Sequence[Entry], latency: float, refused: Iterable[str] = ()) -> Entry | None:
    """The first kernel at least as fast as `latency`, but for those in `refused`; None when there is none."""
    left_out = set(refused)
    for entry in entries:
        if entry.duplicate_of is not None or entry.candidate in left_out:
            continue
        if entry.latency is not None and entry.latency <= latency:
            return entry
    return None
