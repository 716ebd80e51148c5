"""Who is calling. Only HTTP has callers: over stdio there is one client, and a search in this process is nobody's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import principal_components
from mcp.server.context import ServerRequestContext

PRESENCE = "autocomp.presence"  # where in a request's scope its Presence is


class Presence:
    """Whether the client of a request is still there. Clients of the older protocols that hang up are not heard of
    otherwise; nobody could be given the answer."""

    def __init__(self) -> None:
        self._gone = False
        self._tell: set[Callable[[], object]] = set()

    def leave(self) -> None:
        self._gone = True
        for tell in list(self._tell):
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], object]) -> Iterator[None]:
        """`tell` is called when the client goes, or now when it has gone."""
        if self._gone:
            tell()
        self._tell.add(tell)
        try:
            yield
        finally:
            self._tell.discard(tell)


def presence_of(ctx: ServerRequestContext[Any, Any]) -> Presence:
    return (getattr(ctx.request, "scope", None) or {}).get(PRESENCE) or Presence()


def caller_of(ctx: ServerRequestContext[Any, Any]) -> str | None:
    """By the token where one was asked for, else by the address the request came from; None where it came over stdio
    or from within."""
    scope = getattr(ctx.request, "scope", None)
    if scope is None:
        return None
    user = scope.get("user")
    if isinstance(user, AuthenticatedUser):
        return "/".join(part or "" for part in principal_components(user.access_token))
    client = scope.get("client")
    return f"address {client[0]}" if client else "address unknown"
