"""Requests that come over HTTP: how many of one caller may work at once, and what they hear when the server stops."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import unquote

import anyio
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import INTERNAL_ERROR, CallToolResult, TextContent

from ...agent.answers import ENVIRONMENT
from ...agent.servers.dispatch import EVALUATIONS
from ...hardware_adapters.custom.definition import is_own
from ...hardware_adapters.custom.folder import is_path
from ...tools.callers import caller_of, presence_of
from ...tools.slots import busy, on_behalf_of

ANSWERING = frozenset({"tools/call", "resources/read", "prompts/get"})
# They compile or simulate; all others answer from memory, files, or the database, unless a problem proves itself first.
EXPENSIVE = frozenset({*EVALUATIONS, "start_search"})
STOPPING = (
    f"{ENVIRONMENT} the server is stopping, and this call was given up; nothing is held against the kernel. Call again "
    "when the server is back. Searches that it ran are kept: `autocomp-mcp resume RUN` goes on."
)


CALLERS = 4  # that may have as many calls waiting as they are allowed, before everybody is asked to come back later
OWN_RETRY_S = 2.0
FULL_RETRY_S = 10.0


class Calls:
    """Middleware of the MCP server. Requests that a search makes in this process, and those over stdio, pass unseen:
    they have no caller."""

    def __init__(self, at_once: int | None) -> None:
        """`at_once`: of one caller; of all together CALLERS times as many. None: any number."""
        self._at_once = at_once
        self._working: Counter[str] = Counter()
        self._scopes: set[anyio.CancelScope] = set()
        self._one_ended = anyio.Event()
        self._stopping = False

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        caller = caller_of(ctx)
        if caller is None or ctx.method not in ANSWERING:
            return await call_next(ctx)
        if self._stopping:
            return _refused(ctx, STOPPING)
        name = _work(ctx.method, ctx.params or {})
        if name is None:
            return await self._unless_stopped(ctx, call_next)
        if self._at_once is not None and self._working[caller] >= self._at_once:
            return _busy(
                ctx,
                f"{name}: {self._at_once} of your calls that compile or simulate are running, and this server allows "
                "no more of one caller. Wait until one of them has ended, then call again; several kernels for one "
                "problem go into one call: simulate_kernel(sources=[…]). (serve --max-calls N raises the limit.)",
                OWN_RETRY_S,
            )
        if self._at_once is not None and self._working.total() >= CALLERS * self._at_once:
            return _busy(ctx, f"{name}: {self._working.total()} calls of all callers are running.", FULL_RETRY_S)
        self._working[caller] += 1
        try:
            with on_behalf_of(caller):
                return await self._unless_stopped(ctx, call_next)
        finally:
            self._working[caller] -= 1
            if not self._working[caller]:
                del self._working[caller]

    async def _unless_stopped(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        with anyio.CancelScope() as scope, presence_of(ctx).telling(scope.cancel):
            self._scopes.add(scope)
            try:
                return await call_next(ctx)
            finally:
                self._scopes.discard(scope)
                self._one_ended.set()
        return _refused(ctx, STOPPING)  # unless the client has gone: then it is nobody's

    def stop(self) -> None:
        """Give up what runs, with its compilers and simulators, and answer it and whatever comes yet with STOPPING."""
        self._stopping = True
        for scope in list(self._scopes):
            scope.cancel()

    async def ended(self) -> None:
        """Until none is left that runs, with its compilers and simulators."""
        while self._scopes:
            self._one_ended = anyio.Event()
            await self._one_ended.wait()


def _work(method: str, params: Any) -> str | None:
    """What a request is called where it compiles or simulates; None for all others."""
    uri, given = str(params.get("uri", "")), params.get("arguments")
    scheme, _, place = unquote(uri).partition("://")
    if method == "resources/read":
        return scheme if scheme == "timeline" or (scheme == "problem" and _proves(place)) else None
    name = str(params.get("name"))
    given = given if isinstance(given, dict) else {}
    return name if name in EXPENSIVE or given.get("own") is not None or _proves(given.get("problem")) else None


def _proves(problem: Any) -> bool:
    """Whether it is somebody's own, which is judged before it is known."""
    return isinstance(problem, str) and (is_path(problem.strip()) or is_own(problem))


def _busy(ctx: ServerRequestContext[Any, Any], what: str, retry_after_s: float) -> CallToolResult:
    return _refused(ctx, busy(what, retry_after_s), {"retry_after_s": retry_after_s})


def _refused(ctx: ServerRequestContext[Any, Any], text: str, data: dict[str, Any] | None = None) -> CallToolResult:
    """A tool's error. Resources and prompts have none: raises MCPError for them."""
    if ctx.method != "tools/call":
        raise MCPError(INTERNAL_ERROR, text, data)
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True, _meta=data)
