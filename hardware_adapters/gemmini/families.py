"""The operator families of this target, and which of them an id belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ..base import UnknownProblemError
from ..problems import IdPattern, unknown_problem
from . import conv, problems, tinympc
from .operators import TARGET, Operator


class Family(NamedTuple):
    patterns: tuple[IdPattern, ...]
    of: Callable[[str], Operator]  # raises UnknownProblemError

    @property
    def text(self) -> str:
        """How its ids look, for people."""
        return " or ".join(pattern.text for pattern in self.patterns)


FAMILIES = {
    problems.FAMILY: Family((problems.PATTERN,), problems.Gemm.of),
    conv.FAMILY: Family((conv.PATTERN,), conv.Conv.of),
    tinympc.FAMILY: Family(tuple(tinympc.PATTERNS.values()), tinympc.TinyMpc.of),
}


def operator_of(problem_id: str) -> Operator:
    """Raises UnknownProblemError, with the nearest id of any family in its text."""
    for family in FAMILIES.values():
        if any(problem_id.startswith(f"{TARGET}/{pattern.name}-") for pattern in family.patterns):
            return family.of(problem_id)
    raise unknown_problem(problem_id, nearest(problem_id), [family.text for family in FAMILIES.values()])


def nearest(problem_id: str) -> str | None:
    """The valid id that was probably meant: of those that the families propose, the one most like the text given."""
    return max(_proposals(problem_id), key=lambda near: _likeness(problem_id, near), default=None)


def _proposals(problem_id: str) -> Iterator[str]:
    for family in FAMILIES.values():
        for pattern in family.patterns:
            with suppress(UnknownProblemError):
                if near := pattern.nearest(problem_id):
                    yield family.of(near).id


def _likeness(given: str, near: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), near).ratio()
