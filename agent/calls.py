"""How a call reaches a server: here the one that a client is connected to; one of several in servers/dispatch.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from .answers import BUSY_PATIENCE_S, failure_of, is_usage, reason, retry_after_s, said
from .errors import InfrastructureError, ToolUsageError

if TYPE_CHECKING:
    from mcp import Client

RETRY_DELAYS_S = (0.2, 1.0)

Begun = Callable[[], None]  # told when a server has the call


def told_nobody() -> None:
    """For calls whose beginning nobody asks about."""


class Calls(Protocol):
    """Each returns a result, whatever had to be tried again. Raises ToolUsageError for what would be refused anywhere,
    InfrastructureError where the server, the engine or the connection failed even after retries."""

    async def call_tool(self, tool: str, arguments: dict[str, Any], within_s: float, begun: Begun) -> Any:
        """`within_s`: for each attempt."""

    async def read_resource(self, uri: str) -> Any: ...


class ClientCalls:
    """To one server: again after each of the delays while the infrastructure fails, and whenever a busy server says."""

    def __init__(
        self,
        client: Client,
        *,
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._client = client
        self._retry_delays_s = retry_delays_s
        self._sleep = sleep

    async def call_tool(self, tool: str, arguments: dict[str, Any], within_s: float, begun: Begun) -> Any:
        async def call() -> Any:
            begun()
            return await self._client.call_tool(tool, arguments, read_timeout_seconds=within_s)

        return await self._repeated(tool, call)

    async def read_resource(self, uri: str) -> Any:
        return await self._repeated(uri, lambda: self._client.read_resource(uri))

    async def _repeated(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        failure = ""
        for delay in (*self._retry_delays_s, None):
            try:
                result = await self._let_in(what, call)
            except Exception as error:
                if is_usage(error):
                    raise ToolUsageError(f"{what}: {reason(error)}") from error
                failure = reason(error)
            else:
                if not getattr(result, "is_error", False):
                    return result
                failure = failure_of(result, what)
                if failure is None:
                    raise ToolUsageError(f"{what}: {said(result, what)}")
            if delay is not None:
                await self._sleep(delay)
        raise InfrastructureError(f"{what} failed {len(self._retry_delays_s) + 1} times; the last: {failure}")

    async def _let_in(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        waited_s = 0.0
        while True:
            result = await call()
            delay_s = retry_after_s(result, what)
            if delay_s is None or waited_s >= BUSY_PATIENCE_S:
                return result
            waited_s += delay_s
            await self._sleep(delay_s)
