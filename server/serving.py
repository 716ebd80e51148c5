"""serve: the MCP server on stdio or HTTP."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anyio

from ..menus.menu import UnknownNameError
from .shell import DONE, ENVIRONMENT, SIGNALLED, USAGE, say

if TYPE_CHECKING:
    from mcp.server import MCPServer

STOPPING_S = 1.0  # in which tools that are cancelled stop their compilers and simulators


def serve(address: str | None, toolsets: str | None, exclude: Sequence[str], read_only: bool) -> int:
    from .app import build_server
    from .toolsets import NoToolLeftError, Selection

    try:
        server = build_server(selection=Selection.of(toolsets, exclude, read_only))
    except (UnknownNameError, NoToolLeftError) as error:
        say(f"autocomp-mcp: {error}")
        return USAGE
    if address is None:
        anyio.run(_serve_stdio, server)
        return DONE
    from . import http

    try:
        host, port = http.parse_address(address)
    except http.AddressError as error:
        say(f"autocomp-mcp: {error}")
        return USAGE
    try:
        listener = http.bind(host, port)
    except OSError as error:
        say(f"autocomp-mcp: cannot listen on {address}: {error.strerror}")
        return ENVIRONMENT
    bound = listener.getsockname()
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    say(f"autocomp-mcp: serving MCP at http://{name}:{bound[1]}{http.MCP_PATH} (Ctrl-C stops)")
    anyio.run(http.serve, server, listener)
    return DONE


async def _serve_stdio(server: MCPServer[Any]) -> None:
    """Serve until the client closes our stdin, or until SIGINT or SIGTERM: then whatever runs is stopped first."""
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                number = await anext(aiter(signals))
            serving.cancel()
            await anyio.sleep(STOPPING_S)
            os._exit(
                SIGNALLED + number
            )  # the thread that reads stdin would hold an orderly exit up until the next line

        tasks.start_soon(watch)
        with anyio.CancelScope() as serving:
            await server.run_stdio_async()
        if not serving.cancel_called:
            tasks.cancel_scope.cancel()
