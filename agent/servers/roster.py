"""The servers that a search has: who may work on its problem, who is here now, and what they have together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from ...hardware_adapters.base import EngineStatus, SandboxStatus
from ..calls import ClientCalls
from ..each import beside
from ..errors import AgentUsageError, InfrastructureError
from ..toolbox import Toolbox
from .offer import Offer, Wanted, alike, check_alike, offer_of
from .server import Host, Patience, Server

if TYPE_CHECKING:
    from mcp import Client

DEFAULT_PATIENCE = Patience()


class Roster:
    """Servers that work on one problem."""

    def __init__(
        self,
        hosts: Sequence[Host],
        wanted: Wanted,
        announce: Callable[[str], None] = lambda text: None,
        patience: Patience = DEFAULT_PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`announce` is told, in words, whom the search goes without and who is back."""
        self.patience = patience
        self.clock = clock
        self.changed: Callable[[], None] = lambda: None  # called whenever a server comes or goes
        self.servers = [Server(host, patience, self._came_or_went, self._say, clock) for host in hosts]
        self._wanted = wanted
        self._announce = announce
        self._unsaid: list[str] | None = []
        self._offers: dict[Server, Offer] = {}  # the first of each
        self._first: Server | None = None  # with whose first offer all others are compared
        self._first_known = anyio.Event()
        self._able: dict[tuple[Server, str | None], bool] = {}

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """All that can be reached; those that cannot are tried again meanwhile. Raises AgentUsageError or
        InfrastructureError with every server's reason where none can work on the problem."""
        async with beside() as tasks:
            await self._join(tasks)
            yield

    async def _join(self, tasks: TaskGroup) -> None:
        """The first of those that can work on it, in the order given, is the one that the others must be like."""
        for server in self.servers:
            tasks.start_soon(server.keep, self._offer, self._agree)
        for server in self.servers:
            await server.heard.wait()
        self._first = next((server for server in self.servers if server in self._offers), None)
        if self._first is None:
            refusal = self.servers[0].refused
            text = f"no server can work on {self._wanted.problem}: {self.reasons}"
            raise AgentUsageError(text) if isinstance(refusal, AgentUsageError) else InfrastructureError(text)
        self._first_known.set()
        for server in self.servers:
            await server.settled.wait()
        unsaid, self._unsaid = self._unsaid or [], None
        for text in unsaid:
            self._announce(text)

    def _say(self, text: str) -> None:
        """Held back until it is clear that there is a search at all; else the error says it."""
        if self._unsaid is None:
            self._announce(text)
        else:
            self._unsaid.append(text)

    async def _offer(self, client: Client) -> Offer:
        info = client.server_info
        package = (info.name, info.version) if info is not None else None
        return await offer_of(Toolbox(ClientCalls(client), call_timeout_s=self.patience.join), self._wanted, package)

    async def _agree(self, server: Server, offer: Offer) -> None:
        """Raises UnlikeError."""
        self._offers.setdefault(server, offer)
        await self._first_known.wait()
        assert self._first is not None
        check_alike(offer, self._offers[self._first], self._first.name)

    # ------------------------------------------------------------ what there is

    @property
    def reasons(self) -> str:
        return "; ".join(f"{server.name}: {server.reason}" for server in self.servers if server.reason)

    @property
    def live(self) -> list[Server]:
        return [server for server in self.servers if server.live]

    @property
    def at_once(self) -> int:
        """Evaluations that the live servers work on at once."""
        return max(1, sum(server.at_once for server in self.live))

    def engines(self) -> dict[str, EngineStatus]:
        """Of the target: as the first server has them that has them available."""
        return {name: offer.engines[name] for name, offer in self._leading().items() if offer.engines}

    def _leading(self) -> dict[str, Offer]:
        """By engine, the offer that those of others must be like."""
        found: dict[str, Offer] = {}
        for server in [*self.live, *self.servers]:
            offer = server.offer
            for name, status in ((offer and offer.engines) or {}).items():
                known = found[name].engines if name in found else None
                if offer is not None and (known is None or (status.available and not known[name].available)):
                    found[name] = offer
        return found

    @property
    def default_engine(self) -> str | None:
        """Of the target, which calls mean that name none."""
        return next((name for name, status in self.engines().items() if status.default), None)

    def can(self, server: Server, engine: str | None) -> bool:
        """Whether its engine of this name is there, and the one that the others have."""
        key = (server, engine)
        if key not in self._able:
            self._able[key] = self._has(server.offer, engine)
        return self._able[key]

    def _has(self, offer: Offer | None, engine: str | None) -> bool:
        if engine is None or offer is None or offer.engines is None:
            return True
        status, leading = offer.engines.get(engine), self._leading().get(engine)
        return status is not None and status.available and leading is not None and alike(offer, leading, engine)

    def _came_or_went(self) -> None:
        self._able.clear()
        self.changed()

    def sandbox(self) -> SandboxStatus | None:
        """What every server has; `missing`: what one of them lacks."""
        offers = [server.offer.sandbox for server in self.live if server.offer is not None]
        known = [sandbox for sandbox in offers if sandbox is not None]
        if not known or len(known) < len(offers):
            return None
        active = [layer for layer in known[0].active if all(layer in sandbox.active for sandbox in known)]
        return SandboxStatus(active=tuple(active), missing=tuple(dict.fromkeys(m for s in known for m in s.missing)))
