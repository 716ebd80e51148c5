"""The tools as typed methods, over several servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from ...hardware_adapters.base import ServerFacts
from ..answers import failure_of, is_usage, reason, said
from ..errors import InfrastructureError, ToolUsageError
from ..toolbox import CALL_TIMEOUT_S, Begun, Machine, Toolbox
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

    def __init__(self, roster: Roster, calls: Dispatcher, *, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._roster = roster
        self._calls = calls
        self._call_timeout_s = call_timeout_s

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

    async def _send(self, tool: str, given: dict[str, Any], within_s: float, begun: Begun) -> Any:
        return await self._calls.call_tool(tool, given, within_s, begun)

    async def _read(self, uri: str) -> Any:
        return await self._calls.read_resource(uri)

    async def _guarded(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """The servers were tried again already."""
        try:
            result = await call()
        except InfrastructureError:
            raise
        except Exception as error:
            if is_usage(error):
                raise ToolUsageError(f"{what}: {reason(error)}") from error
            raise InfrastructureError(f"{what}: {reason(error)}") from error
        if getattr(result, "is_error", False) and failure_of(result, what) is None:
            raise ToolUsageError(f"{what}: {said(result, what)}")
        return result
