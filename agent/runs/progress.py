"""What is under way in a search at this moment, for whoever watches it. Nothing of it is journalled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from pydantic import Field

from ...hardware_adapters.base import Record

Phase = Literal["profile", "plan", "generate", "evaluate"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class Work(Record):
    """One plan, code or evaluation under way."""

    place: str = Field(description="Of the candidate, or iteration.parent.plan for a plan")
    phase: Phase
    option: str | None = Field(default=None, description="Menu option of the plan, once there is one")
    began_s: float = Field(description="On the clock of `elapsed_s`: when it began, or got its turn")
    waits: bool = Field(default=True, description="For a free model call or engine: only so many run at once")


class PhaseTally(Record):
    """A phase of the current iteration."""

    done: int = 0
    expected: int = Field(default=0, description="As far as known: a plan that fails has no code, a repair is one more")


class Progress:
    """Of the current iteration. `changed` is called after everything that begins or ends."""

    def __init__(self, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        """`clock`: seconds of the run so far."""
        self._clock = clock
        self._changed = changed
        self._tallies: dict[Phase, PhaseTally] = {}
        self._works: dict[str, Work] = {}

    @property
    def tallies(self) -> dict[Phase, PhaseTally]:
        return dict(self._tallies)

    @property
    def works(self) -> tuple[Work, ...]:
        """In the order in which they began."""
        return tuple(self._works.values())

    def begin(self, **expected: int) -> None:
        """A new iteration (or the first kernel), and how much of each phase it has."""
        self._tallies = {phase: PhaseTally(expected=expected[phase]) for phase in PHASES if phase in expected}
        self._works = {}

    def expect(self, phase: Phase, more: int) -> None:
        """So many more than was expected, or fewer."""
        tally = self._tallies.get(phase, PhaseTally())
        self._tallies[phase] = tally.model_copy(update={"expected": tally.expected + more})

    @contextmanager
    def work(self, place: str, phase: Phase, option: str | None = None) -> Iterator[None]:
        self._works[place] = Work(place=place, phase=phase, option=option, began_s=self._clock())
        self._changed()
        try:
            yield
        finally:
            self._works.pop(place, None)
            tally = self._tallies.get(phase, PhaseTally())
            self._tallies[phase] = tally.model_copy(update={"done": tally.done + 1})
            self._changed()

    def runs(self, place: str) -> None:
        """It waits no more: a model or an engine is at work on it."""
        if work := self._works.get(place):
            self._works[place] = work.model_copy(update={"waits": False, "began_s": self._clock()})
            self._changed()
