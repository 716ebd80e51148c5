"""Builds the MCP server: one function, used by every transport, by the controller (in memory) and by the tests."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.types import INVALID_PARAMS

from .. import __version__
from ..menus.menu import UnknownNameError
from ..tools import completion, kernels, menu, problems, prompts, resources, search, targets
from ..tools.bench import Bench
from ..tools.search import Jobs
from .toolsets import TOOLS, Selection, instructions


class Server(MCPServer[Jobs]):
    """With docstrings as descriptions, without the indentation that Python before 3.13 leaves in them, and with an
    answer to names of prompts that do not exist."""

    def add_tool(self, fn: Callable[..., Any], *args: Any, description: str | None = None, **kwargs: Any) -> None:
        super().add_tool(fn, *args, description=description or inspect.getdoc(fn), **kwargs)

    async def get_prompt(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A name that does not exist is the caller's mistake; the SDK alone answers "Internal server error"."""
        known = [prompt.name for prompt in await self.list_prompts()]
        if name not in known:
            raise MCPError(code=INVALID_PARAMS, message=str(UnknownNameError("prompt", name, known)))
        return await super().get_prompt(name, *args, **kwargs)


def build_server(bench: Bench | None = None, selection: Selection | None = None) -> MCPServer[Jobs]:
    """The server with the selected tools, by default all. State is in the bench's home, so any number of servers may
    share it. Raises UnknownNameError, NoToolLeftError."""
    bench = bench or Bench()
    tools = (selection or Selection()).tools()
    _log_to_stderr()

    @asynccontextmanager
    async def lifespan(server: MCPServer[Jobs]) -> AsyncIterator[Jobs]:
        async with Jobs.running(bench) as jobs:
            yield jobs

    server = Server(
        name="autocomp-mcp",
        title="Autocomp: kernel optimisation for tensor accelerators",
        instructions=instructions(tools),
        version=__version__,
        lifespan=lifespan,
        log_level="WARNING",
    )
    for room in (targets, problems, menu, kernels):
        room.register(server, bench)
    # A search calls tools itself: those that callers are not offered too.
    whole = cache(lambda: server if len(tools) == len(TOOLS) else build_server(bench))
    search.register(server, bench, whole)
    for tool in TOOLS:
        if tool not in tools:
            server.remove_tool(tool)
    resources.register(server, bench)
    if set(tools) >= prompts.NEEDS:
        prompts.register(server, bench)
    completion.register(server, bench)
    return server


def _log_to_stderr() -> None:
    """Plain lines on stderr before the SDK installs its own coloured, wrapped ones. stdout belongs to the protocol."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
