"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ..base import UnknownProblemError
from ..problems import IdPattern, unknown_problem
from . import conv, problems
from .operators import TARGET, Operator


class Family(NamedTuple):
    pattern: IdPattern
    of: Callable[[str], Operator]  # raises UnknownProblemError


FAMILIES = {
    problems.FAMILY: Family(problems.PATTERN, problems.Gemm.of),
    conv.FAMILY: Family(conv.PATTERN, conv.Conv.of),
}


def operator_of(problem_id: str) -> Operator:
    """Raises UnknownProblemError, with the nearest id of any family in its text."""
    for name, family in FAMILIES.items():
        if problem_id.startswith(f"{TARGET}/{name}-"):
            return family.of(problem_id)
    raise unknown_problem(problem_id, nearest(problem_id), [family.pattern.text for family in FAMILIES.values()])


def nearest(problem_id: str) -> str | None:
    """The valid id that was probably meant: of those that the families propose, the one most like the text given."""
    return max(_proposals(problem_id), key=lambda near: _likeness(problem_id, near), default=None)


def _proposals(problem_id: str) -> Iterator[str]:
    for family in FAMILIES.values():
        with suppress(UnknownProblemError):
            if near := family.pattern.nearest(problem_id):
                yield family.of(near).id


def _likeness(given: str, near: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), near).ratio()
