"""The tools as typed methods, over several servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from ...hardware_adapters.base import ServerFacts
from ..toolbox import Machine, Toolbox
from .dispatch import Dispatcher
from .offer import Wanted
from .roster import DEFAULT_PATIENCE, Roster
from .server import Host, Patience

# Evaluations under way for each that the servers work on at once. Where some wait, a slow server gets those that the
# quick ones would come to later than it; in a queue that is not seen they would all wait for the quick ones.
AHEAD = 4


class SpreadToolbox(Toolbox):
    """Whatever a call needs is in its arguments, so any of the servers may answer it: kernels are sent as text, and
    what is kept where a kernel was judged (its artefacts, its entry in the cache) no later call refers to."""

    def __init__(self, roster: Roster, calls: Dispatcher) -> None:
        super().__init__(calls)
        self._roster = roster

    @classmethod
    @asynccontextmanager
    async def spread(
        cls,
        hosts: Sequence[Host],
        wanted: Wanted,
        announce: Callable[[str], None],
        patience: Patience = DEFAULT_PATIENCE,
    ) -> AsyncIterator[Self]:
        """Over those of the hosts that can work on what is wanted. Raises as Roster.joined."""
        roster = Roster(hosts, wanted, announce, patience)
        calls = Dispatcher(roster)
        async with roster.joined(), calls.running():
            yield cls(roster, calls)

    async def machine(self, target: str) -> Machine:
        """Of the target that the search is about, all servers together."""
        facts = ServerFacts(at_once=self._roster.at_once)
        return Machine(target, self._roster.engines(), self._roster.sandbox(), facts)

    def room(self, machine: Machine) -> int:
        return AHEAD * super().room(machine)
