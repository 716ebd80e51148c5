"""Builds the MCP server: one function, used by every transport, by the controller (in memory) and by the tests."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, NamedTuple

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.request_state import RequestStateSecurity
from mcp.server.subscriptions import ListenHandler
from mcp.types import INVALID_PARAMS, SubscribeRequestParams, UnsubscribeRequestParams

from .. import __version__
from ..menus.menu import UnknownNameError
from ..tools import completion, kernels, menu, problems, prompts, resources, search, targets
from ..tools.bench import Bench
from ..tools.jobs import Jobs
from ..tools.updates import Updates
from .inert import inert
from .report.app_view import apps, register_data
from .serving.auth import Access
from .serving.calls import Calls
from .serving.stdio import stdio_streams
from .serving.toolsets import TOOLS, Selection, instructions


class Deployment(NamedTuple):
    """How a server stands in the world; by default for one client, over stdio or in memory.

    max_calls, max_searches: of one caller at once, None for any number. keys: for state that clients keep between two
    requests; shared where several processes answer them.
    """

    access: Access | None = None
    max_calls: int | None = None
    max_searches: int | None = None
    keys: tuple[bytes, ...] = ()


class Server(MCPServer[Jobs]):
    """With docstrings as descriptions, without the indentation that Python before 3.13 leaves in them, and with an
    answer to names of prompts that do not exist; it can stop."""

    def __init__(self, bench: Bench, deployment: Deployment, **about: Any) -> None:
        self._jobs: Jobs | None = None
        self._updates = Updates(bench)
        self._calls = Calls(deployment.max_calls)

        @asynccontextmanager
        async def lifespan(server: MCPServer[Jobs]) -> AsyncIterator[Jobs]:
            async with self._updates.running(), Jobs.running(bench, deployment.max_searches) as jobs:
                self._jobs = jobs
                yield jobs

        self.bench, self.deployment = bench, deployment
        access = deployment.access
        super().__init__(
            lifespan=lifespan,
            log_level="WARNING",
            subscriptions=self._updates,
            middleware=[self._calls],
            request_state_security=RequestStateSecurity(keys=deployment.keys) if deployment.keys else None,
            auth=access.settings if access else None,
            token_verifier=access.verifier if access else None,
            **about,
        )
        # The SDK serves subscriptions of today's protocol itself, those of the older ones only at this level.
        below = self._lowlevel_server
        below.add_request_handler("resources/subscribe", SubscribeRequestParams, self._updates.add)
        below.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._updates.remove)

    @property
    def shows_searches(self) -> bool:
        """Whether callers may look at searches: then also at their pages."""
        return self._tool_manager.get_tool("get_search") is not None

    def add_tool(self, fn: Callable[..., Any], *args: Any, description: str | None = None, **kwargs: Any) -> None:
        super().add_tool(fn, *args, description=description or inspect.getdoc(fn), **kwargs)

    async def get_prompt(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A name that does not exist is the caller's mistake; the SDK alone answers "Internal server error"."""
        known = [prompt.name for prompt in await self.list_prompts()]
        if name not in known:
            raise MCPError(code=INVALID_PARAMS, message=str(UnknownNameError("prompt", name, known)))
        return await super().get_prompt(name, *args, **kwargs)

    async def run_stdio_async(self) -> None:
        """As the SDK's, but it can be cancelled while it waits for a line."""
        async with stdio_streams() as (read, write):
            await self._lowlevel_server.run(read, write, self._lowlevel_server.create_initialization_options())

    def stop(self) -> None:
        """Give up the calls that run, which are answered so, and the searches, which are journalled as cancelled."""
        self._calls.stop()
        listen = self._lowlevel_server.get_request_handler("subscriptions/listen")
        if listen is not None and isinstance(listen.handler, ListenHandler):
            listen.handler.close()  # clients are told that their streams end, and do not take it for a breakdown
        if self._jobs is not None:
            self._jobs.stop()

    async def stopped(self) -> None:
        """Until the calls that `stop` gave up have ended."""
        await self._calls.ended()


def build_server(
    bench: Bench | None = None, selection: Selection | None = None, deployment: Deployment | None = None
) -> Server:
    """The server with the selected tools, by default all. State is in the bench's home, so any number of servers may
    share it. Raises UnknownNameError, NoToolLeftError."""
    bench = bench or Bench()
    tools = (selection or Selection()).tools()
    _log_to_stderr()
    server = Server(
        bench,
        deployment or Deployment(),
        name="autocomp-mcp",
        extensions=[apps()] if "get_search" in tools else [],
        title="Autocomp: kernel optimisation for tensor accelerators",
        instructions=instructions(tools),
        version=__version__,
    )
    for room in (targets, problems, menu, kernels):
        room.register(server, bench)
    # A search calls tools itself: those that callers are not offered too. A client of this very server would begin its
    # lifespan once more, with other jobs than those that `stop` is to stop.
    search.register(server, bench, cache(lambda: build_server(bench)))
    for tool in TOOLS:
        if tool not in tools:
            server.remove_tool(tool)
    resources.register(server, bench)
    if "get_search" in tools:
        register_data(server, bench)
    if set(tools) >= prompts.NEEDS:
        prompts.register(server, bench)
    completion.register(server, bench)
    return server


class _WithoutSecrets(logging.Formatter):
    """Tracebacks quote what services answered, and some quote the key, or what would steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        from ..agent.keys import hidden

        return "\n".join(map(inert, hidden(super().format(record)).split("\n")))


def _log_to_stderr() -> None:
    """Plain lines on stderr before the SDK installs its own coloured, wrapped ones. stdout belongs to the protocol."""
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_WithoutSecrets("%(asctime)s %(name)s %(levelname)s: %(message)s"))
        logging.basicConfig(level=logging.WARNING, handlers=[handler])
