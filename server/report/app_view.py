"""The page bound to get_search, for hosts that show MCP Apps. Others lose nothing: the tool's result says it all."""

from __future__ import annotations

from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver.resources import FunctionResource

from ...tools.search import VIEW


def apps() -> Apps:
    """The page is only made when a host asks for it."""
    found = Apps()
    found.add_resource(
        FunctionResource(
            uri=VIEW,
            name="search",
            title="A search, to look at",
            description="Best so far, the steps to the best kernel and its source, for hosts that show MCP Apps.",
            mime_type=APP_MIME_TYPE,
            meta={"ui": {"prefersBorder": False}},
            fn=_page,
        )
    )
    return found


def _page() -> str:
    from .page import page

    return page(None, "app")
