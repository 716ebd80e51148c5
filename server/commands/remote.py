"""The tools that a search calls: of this process, or of servers elsewhere."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any

from ...agent.errors import AgentError, AgentUsageError, InfrastructureError, ToolUsageError
from ...agent.servers.offer import Wanted
from ...agent.servers.server import Host
from ...agent.servers.toolbox import SpreadToolbox
from ...agent.toolbox import Toolbox
from ...hardware_adapters.custom import shelf
from ...hardware_adapters.custom.definition import is_own
from ...hardware_adapters.sandbox.layers import sandbox_required
from ...hardware_adapters.store import Home
from ..serving.auth import TOKEN_VARIABLE
from ..shell import say

CONNECT_WITHIN_S = 30.0
REFUSED = "returned an error response"  # what the SDK says of a status such as 401
SILENT_FOR_S = 300.0  # an answer may be so long in coming


@asynccontextmanager
async def connected(
    problem: str, servers: list[str], engine: str | None = None, announce: Callable[[str], None] = say
) -> AsyncIterator[Toolbox]:
    """The tools of this process, of a server, or of several as one: of all that know the problem and have the engine.
    Servers are sent the token in AUTOCOMP_TOKEN. `announce` is told which of several the search goes without. Raises
    AgentUsageError, InfrastructureError."""
    if not servers:
        from ..app import build_server

        async with Toolbox.connect(build_server()) as toolbox:
            yield toolbox
        return
    urls = list(dict.fromkeys(map(mcp_url, servers)))
    begun = False
    try:
        async with AsyncExitStack() as open_:
            if len(urls) == 1:
                async with Toolbox.connect(_reached(urls[0])) as toolbox:
                    await _introduce(problem, toolbox)
                toolbox = await open_.enter_async_context(Toolbox.connect(_reached(urls[0])))
            else:
                hosts = [Host(url, partial(_reached, url)) for url in urls]
                wanted = Wanted(problem, engine, partial(_introduce, problem), sandbox_required())
                toolbox = await open_.enter_async_context(SpreadToolbox.spread(hosts, wanted, announce))
            begun = True
            yield toolbox
    except AgentError as error:
        if begun:
            raise
        text = str(error) if len(urls) > 1 else f"no server can work on {problem}: {error}"
        if REFUSED in text:
            text += f" (does it want a token? {TOKEN_VARIABLE} holds the one that is sent)"
        raise AgentUsageError(text) if isinstance(error, AgentUsageError) else InfrastructureError(text) from error


async def _introduce(problem: str, toolbox: Toolbox) -> None:
    """See that the server knows the problem; one of the user's own it is told. Raises as `get_problem`."""
    try:
        await toolbox.get_problem(problem)
    except ToolUsageError as error:
        if not is_own(problem):
            raise
        definition = shelf.find(Home(), problem).definition
        if definition.language == "python":
            raise ToolUsageError(
                f"{error}. Its reference is a Python file, which a server takes from no caller: put the folder below a "
                "--problem-root of that server, or write the reference as NumPy expressions"
            ) from error
        await toolbox.define_problem(definition.given())


def mcp_url(url: str) -> str:
    """`HOST:PORT` and `http://HOST:PORT` mean the path that `serve --http` uses."""
    from ..serving.http import MCP_PATH

    whole = url if "://" in url else f"http://{url}"
    return whole.rstrip("/") + MCP_PATH if whole.partition("://")[2].rstrip("/").count("/") == 0 else whole


def _reached(url: str) -> str | _Authorized:
    token = os.environ.get(TOKEN_VARIABLE)
    return _Authorized(url, token) if token else url


class _Authorized:
    """Streamable HTTP with a bearer token, as a transport for the SDK's client."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._open = AsyncExitStack()

    def __repr__(self) -> str:
        return repr(self._url)

    async def __aenter__(self) -> Any:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=httpx2.Timeout(CONNECT_WITHIN_S, read=SILENT_FOR_S),
        )
        await self._open.enter_async_context(http)
        return await self._open.enter_async_context(streamable_http_client(self._url, http_client=http))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, at)
