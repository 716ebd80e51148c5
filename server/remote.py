"""The tools that a search calls: of this process, or of servers elsewhere."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any

from ..agent.errors import AgentError, AgentUsageError, InfrastructureError, ToolUsageError
from ..agent.toolbox import Toolbox
from ..hardware_adapters.custom import shelf
from ..hardware_adapters.custom.definition import is_own
from ..hardware_adapters.store import Home
from .auth import TOKEN_VARIABLE

CONNECT_WITHIN_S = 30.0
REFUSED = "returned an error response"  # what the SDK says of a status such as 401
SILENT_FOR_S = 300.0  # an answer may be so long in coming


@asynccontextmanager
async def connected(problem: str, servers: list[str]) -> AsyncIterator[Toolbox]:
    """The first of the servers that knows the problem; without any, the tools of this process. Servers are sent the
    token in AUTOCOMP_TOKEN. Raises AgentUsageError, InfrastructureError."""
    if not servers:
        from .app import build_server

        async with Toolbox.connect(build_server()) as toolbox:
            yield toolbox
        return
    refusals: list[AgentError] = []
    for url in map(mcp_url, servers):
        try:
            async with Toolbox.connect(_reached(url)) as toolbox:
                await _offer(toolbox, problem)
        except AgentError as error:
            refusals.append(error)
        else:
            async with Toolbox.connect(_reached(url)) as toolbox:
                yield toolbox
            return
    text = f"no server can work on {problem}: " + "; ".join(map(str, refusals))
    if any(REFUSED in str(refusal) for refusal in refusals):
        text += f" (does it want a token? {TOKEN_VARIABLE} holds the one that is sent)"
    raise AgentUsageError(text) if isinstance(refusals[0], AgentUsageError) else InfrastructureError(text)


async def _offer(toolbox: Toolbox, problem: str) -> None:
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
    from .http import MCP_PATH

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
