"""Who is calling. Only HTTP has callers: over stdio there is one client, and a search in this process is nobody's."""

from __future__ import annotations

from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import principal_components
from mcp.server.context import ServerRequestContext


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
