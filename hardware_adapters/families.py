"""The operator families of a target, and which of them a problem id belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from .base import UnknownProblemError
from .problems import IdPattern, unknown_problem


class Identified(Protocol):
    @property
    def id(self) -> str: ...


O = TypeVar("O", bound=Identified)  # noqa: E741 - an operator


class Family(Generic[O]):
    """`of` makes the operator of an id that one of the patterns fits; it raises UnknownProblemError."""

    def __init__(self, of: Callable[[str], O], *patterns: IdPattern) -> None:
        self.of, self.patterns = of, patterns

    @property
    def text(self) -> str:
        """How its ids look, for people."""
        return " or ".join(pattern.text for pattern in self.patterns)


class Families(Mapping[str, Family[O]], Generic[O]):
    """By name, in the order in which people are shown them."""

    def __init__(self, target: str, families: Mapping[str, Family[O]]) -> None:
        self._target, self._families = target, dict(families)

    def __getitem__(self, name: str) -> Family[O]:
        return self._families[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._families)

    def __len__(self) -> int:
        return len(self._families)

    def operator(self, problem_id: str) -> O:
        """Raises UnknownProblemError, with the nearest id of any family in its text."""
        for family in self.values():
            if any(problem_id.startswith(f"{self._target}/{pattern.name}-") for pattern in family.patterns):
                return family.of(problem_id)
        raise unknown_problem(problem_id, self.nearest(problem_id), [family.text for family in self.values()])

    def nearest(self, problem_id: str) -> str | None:
        """The valid id that was probably meant: of those that the families propose, the one most like the text."""
        return max(self._proposals(problem_id), key=lambda near: _likeness(problem_id, near), default=None)

    def _proposals(self, problem_id: str) -> Iterator[str]:
        for family in self.values():
            for pattern in family.patterns:
                with suppress(UnknownProblemError):
                    if near := pattern.nearest(problem_id):
                        yield family.of(near).id


def _likeness(given: str, near: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), near).ratio()
