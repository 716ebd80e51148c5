"""Who goes on: selection by latency, ties by place, so that it never depends on timing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .candidate import Candidate
from .settings import SearchSettings


def may_enter(child: Candidate, parent: Candidate, iteration: int, settings: SearchSettings) -> bool:
    """A child must pass and be faster than its parent; in the first iterations `slack` forgives a little."""
    slack = settings.slack if iteration <= settings.slack_iterations else 0.0
    return child.passed and child.latency < parent.latency * (1 + slack)


def select(
    beam: Sequence[Candidate], children: Iterable[Candidate], iteration: int, settings: SearchSettings
) -> list[Candidate]:
    """The best `settings.beam` of the parents and of the children that may enter, no kernel twice."""
    parents: Mapping[str, Candidate] = {candidate.id: candidate for candidate in beam}
    pool = list(beam)
    for child in children:
        parent = parents.get(child.parent or "")
        if child.duplicate_of is None and parent is not None and may_enter(child, parent, iteration, settings):
            pool.append(child)
    chosen: dict[str, Candidate] = {}
    for candidate in sorted(pool, key=lambda c: c.order):
        chosen.setdefault(candidate.digest, candidate)
    return list(chosen.values())[: settings.beam]
