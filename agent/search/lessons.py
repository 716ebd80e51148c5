"""What earlier runs teach a new one: gains of menu options, slow code made fast, and a schedule to replay.

Gathered once, when a run starts, and journalled with it: a resumed run is taught the same, whatever was run since.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

from pydantic import Field

from ...hardware_adapters.base import Problem, Record
from ..errors import AgentUsageError
from ..models.base import Example
from ..runs.candidate import ROOT, Attempt, Candidate, Plan, attempts, candidates_of, canonical, steps_to
from ..runs.journal import Journal
from .bandit import Tally, tallies

MAX_RUNS = 40  # the newest of the family
MAX_EXAMPLES = 16
MAX_DIFF = 2_500  # characters
MIN_GAIN = 1.05  # of a step that is worth showing, and of a run that is worth replaying
FARTHEST = 8.0  # octaves between dimensions, summed, up to which a schedule is thought to carry over


class Schedule(Record):
    """The steps that led to the best kernel of an earlier run."""

    run_id: str
    problem: str
    speedup: float
    steps: tuple[Plan, ...]


class Lessons(Record):
    tallies: tuple[Tally, ...] = ()
    examples: tuple[Example, ...] = Field(default=(), description="The largest gains first, one for each option")
    schedule: Schedule | None = None


class _Earlier(Record):
    run_id: str
    problem: str
    target: str
    family: str
    dims: dict[str, int]
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate | None:
        passing = [candidate for candidate in self.candidates if candidate.passed]
        return min(passing, key=lambda c: c.order, default=None)


def check_reuse(journal: Journal, problem: Problem, reuse: str) -> None:
    """Raises UnknownRunError, and AgentUsageError for a named run with nothing to replay on this problem."""
    if reuse not in ("auto", "none"):
        _named(journal, problem, reuse)


def gather(journal: Journal, problem: Problem, reuse: str, *, memory: bool) -> Lessons:
    """`reuse` as in the settings; `memory`: whether tallies and examples are wanted. Raises as `check_reuse`."""
    runs = [_earlier(journal, run_id) for run_id in journal.family_runs(problem.target, problem.family, MAX_RUNS)]
    known = [run for run in runs if run is not None]
    schedule = None
    if reuse == "auto":
        near = [(distance(problem.dims, run.dims), index, run) for index, run in enumerate(known)]
        for _, _, run in sorted((entry for entry in near if entry[0] <= FARTHEST), key=lambda e: e[:2]):
            schedule = schedule or _schedule(run)
    elif reuse != "none":
        schedule = _named(journal, problem, reuse)
    if not memory:
        return Lessons(schedule=schedule)
    tried: list[Attempt] = []
    for run in known:
        tried += [attempt for entries in attempts(run.candidates).values() for attempt in entries]
    return Lessons(tallies=tallies(tried), examples=tuple(_examples(known)), schedule=schedule)


def distance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Octaves between the dimensions, summed; a dimension that only one has, or that is 0 in one, counts as 4."""
    total = 0.0
    for name in one.keys() | other.keys():
        a, b = one.get(name, -1), other.get(name, -1)
        total += 0.0 if a == b else abs(math.log2(a / b)) if a > 0 and b > 0 else 4.0
    return total


def _earlier(journal: Journal, run_id: str) -> _Earlier | None:
    """None for a run that did not get as far as its first kernel. Raises UnknownRunError."""
    row = journal.row(run_id)
    events = journal.events(run_id, sources=True)
    about = next((event["data"] for event in events if event["kind"] == "problem"), None)
    if about is None:
        return None
    candidates = tuple(canonical(candidates_of(events)))
    return _Earlier(run_id=run_id, problem=row.problem, candidates=candidates, **about)


def _named(journal: Journal, problem: Problem, run_id: str) -> Schedule:
    run = _earlier(journal, run_id)
    schedule = _schedule(run) if run is not None else None
    if run is None or schedule is None:
        raise AgentUsageError(f"run {run_id!r} made no kernel faster: it has no schedule to reuse")
    if (run.target, run.family) != (problem.target, problem.family):
        raise AgentUsageError(
            f"run {run_id!r} is of {run.problem}: its schedule has steps for {run.target} {run.family}, and "
            f"{problem.id} is {problem.target} {problem.family}"
        )
    return schedule


def _schedule(run: _Earlier) -> Schedule | None:
    best, root = run.best, next((c for c in run.candidates if c.id == ROOT), None)
    if best is None or root is None or root.latency < best.latency * MIN_GAIN:
        return None
    steps = [child.plan for _, child in steps_to(best, {c.id: c for c in run.candidates}) if child.plan is not None]
    return Schedule(
        run_id=run.run_id, problem=run.problem, speedup=root.latency / best.latency, steps=tuple(steps[::-1])
    )


def _examples(runs: Iterable[_Earlier]) -> list[Example]:
    largest: dict[str, Example] = {}
    for run in runs:
        if run.best is None:
            continue
        for parent, child in steps_to(run.best, {c.id: c for c in run.candidates}):
            ratio = parent.latency / child.latency if parent.passed else 0.0
            known = largest.get(child.plan.option) if child.plan else None
            if child.plan is None or ratio < MIN_GAIN or (known is not None and known.ratio >= ratio):
                continue
            diff = _diff(parent.source, child.source)
            largest[child.plan.option] = Example(problem=run.problem, plan=child.plan, ratio=ratio, diff=diff)
    return sorted(largest.values(), key=lambda example: -example.ratio)[:MAX_EXAMPLES]


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "slow", "fast", n=2, lineterm="")
    text = "\n".join(lines)
    return text if len(text) <= MAX_DIFF else text[:MAX_DIFF] + "\n…"
