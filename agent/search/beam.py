"""Who goes on: selection by latency, ties by place, so that it never depends on timing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..runs.candidate import Candidate
from ..settings import SearchSettings


def may_enter(child: Candidate, parent: Candidate, iteration: int, settings: SearchSettings) -> bool:
    """A child must pass and be faster than its parent; in the first iterations `slack` forgives a little, and while
    the kernel is being moved to the accelerator the speed does not count."""
    if iteration <= settings.translate_iterations:
        return child.passed
    slack = settings.slack if iteration <= settings.slack_iterations else 0.0
    return child.passed and child.latency < parent.latency * (1 + slack)


def select(
    beam: Sequence[Candidate],
    children: Iterable[Candidate],
    iteration: int,
    settings: SearchSettings,
    *,
    width: int | None = None,
    spent: Collection[str] = (),
    reserve: Iterable[Candidate] = (),
) -> list[Candidate]:
    """The best `width` (`settings.beam`) of the parents and of the children that may enter, no kernel twice.

    A kernel whose digest is in `spent` has nothing left to plan: it gives its place up, and places so freed go to the
    best of `reserve` (all kernels of the run), slower than their parents though they may be: the way out of a local
    optimum. Empty only when every kernel is spent.
    """
    width = settings.beam if width is None else width
    parents: Mapping[str, Candidate] = {candidate.id: candidate for candidate in beam}
    pool: list[Candidate] = []
    for child in children:
        parent = parents.get(child.parent or "")
        if child.duplicate_of is None and parent is not None and may_enter(child, parent, iteration, settings):
            pool.append(child)
    if not pool or iteration > settings.translate_iterations:  # a step of a translation is not undone
        pool += beam
    chosen = _distinct(pool, spent)[:width]
    if any(candidate.digest in spent for candidate in beam):
        passing = _distinct((candidate for candidate in reserve if candidate.passed), spent)
        known = {candidate.digest for candidate in chosen}
        chosen += [candidate for candidate in passing if candidate.digest not in known]
    return chosen[:width]


def _distinct(pool: Iterable[Candidate], spent: Collection[str]) -> list[Candidate]:
    chosen: dict[str, Candidate] = {}
    for candidate in sorted(pool, key=lambda c: c.order):
        if candidate.digest not in spent:
            chosen.setdefault(candidate.code, candidate)
    return list(chosen.values())
