"""run:// resources that clients subscribed to: who wants to hear of them, and when they changed.

The journal is looked at, not the searches: a run changes wherever it is driven, in another server of the home or on
the command line.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated, ServerEvent
from mcp.types import INVALID_PARAMS, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from ..agent.errors import AgentError
from ..agent.runs.journal import Journal
from ..hardware_adapters.base import AdapterError
from .bench import Bench, in_thread

log = logging.getLogger(__name__)

SCHEME = "run://"
POLL_S = 0.5  # several events of a run in that time are one update
BEFORE_S = 5.0
MAX_SUBSCRIPTIONS = 1024  # of clients of the older protocols; the oldest is forgotten
# Those that change what the resource says; of the others (a model's answer, say) it shows only the cost.
_TELLING = ("state", "phase", "candidate", "confirm", "limits")


class Updates(InMemorySubscriptionBus):
    """The server's bus for clients of today's protocol, and the subscriptions of the older ones."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._listening = anyio.Event()
        self._count = 0
        self._sessions: OrderedDict[tuple[str, str], ServerSession] = OrderedDict()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        unsubscribe = super().subscribe(listener)
        self._count += 1
        self._listening.set()
        gone = False

        def leave() -> None:
            nonlocal gone
            if not gone:
                gone = True
                self._count -= 1
            unsubscribe()

        return leave

    async def add(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """resources/subscribe. Raises MCPError for what never changes."""
        uri = str(params.uri)
        if not uri.startswith(SCHEME):
            raise MCPError(INVALID_PARAMS, f"{uri!r} never changes; only {SCHEME}ID does")
        self._sessions[_client(ctx), uri] = ctx.session
        while len(self._sessions) > MAX_SUBSCRIPTIONS:
            self._sessions.popitem(last=False)
        self._listening.set()
        return EmptyResult()

    async def remove(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """resources/unsubscribe."""
        self._sessions.pop((_client(ctx), str(params.uri)), None)
        return EmptyResult()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            yield
            tasks.cancel_scope.cancel()

    async def _watch(self) -> None:
        while True:
            await self._listening.wait()
            self._listening = anyio.Event()
            try:
                await self._tell_while_wanted()
            except (AgentError, AdapterError) as error:
                log.error("subscriptions are not served: %s", error)
                await anyio.sleep(POLL_S * 10)
                self._listening.set()

    async def _tell_while_wanted(self) -> None:
        with closing(await in_thread(Journal.of, self._bench.home)) as journal:
            look = _Look(journal)
            while self._count or self._sessions:
                for run_id in await in_thread(look.changed):
                    await self._publish(f"{SCHEME}{run_id}")
                await anyio.sleep(POLL_S)

    async def _publish(self, uri: str) -> None:
        await self.publish(ResourceUpdated(uri=uri))
        for key, session in list(self._sessions.items()):
            if key[1] == uri:
                try:
                    await session.send_resource_updated(uri)
                except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                    self._sessions.pop(key, None)


def _client(ctx: ServerRequestContext[Any, Any]) -> str:
    """A client of the older protocols: by its session over HTTP, where there are many."""
    headers = getattr(ctx.request, "headers", {})
    return headers.get("mcp-session-id", "")


class _Look:
    """What changed from one look at the journal to the next. The first goes a little back: whoever subscribed may have
    read the resource before that look."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen: int | None = None
        self._driven: set[str] = set()

    def changed(self) -> set[str]:
        last = self._journal.last_event()
        if self._seen is None:
            self._seen = self._journal.last_event_before(time.time() - BEFORE_S, among=500)
        changed = self._journal.changed(self._seen, last, _TELLING)
        self._seen = last
        driven = {run_id for run_id in self._journal.leased() if self._journal.driven(run_id)}
        changed |= self._driven - driven  # a process that died writes nothing any more
        self._driven = driven
        return changed
