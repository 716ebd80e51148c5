"""Builds the MCP server: one function, used by every transport, by the controller (in memory) and by the tests."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from mcp.server import MCPServer

from .. import __version__
from ..tools import completion, kernels, menu, problems, prompts, resources, search, targets
from ..tools.bench import Bench
from ..tools.search import Jobs
from .toolsets import TOOLS, Selection, instructions


class Server(MCPServer[Jobs]):
    """With docstrings as descriptions, without the indentation that Python before 3.13 leaves in them."""

    def add_tool(self, fn: Callable[..., Any], *args: Any, description: str | None = None, **kwargs: Any) -> None:
        super().add_tool(fn, *args, description=description or inspect.getdoc(fn), **kwargs)


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
