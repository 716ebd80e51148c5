"""The page bound to get_search, for hosts that show MCP Apps. Others lose nothing: the tool's result says it all."""

from __future__ import annotations

from functools import cache

from mcp.server import MCPServer
from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource

from ...agent.errors import AgentError
from ...agent.runs.database import place_of
from ...tools.bench import Bench
from ...tools.search import VIEW
from .packed import Logs

# What the page may do in its frame: ask nobody, and put a command into the clipboard. Hosts make their policy of it.
UI = {
    "prefersBorder": False,
    "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
    "permissions": {"clipboardWrite": {}},
}


def apps() -> Apps:
    """The page is only made when a host asks for it."""
    found = Apps()
    found.add_resource(
        FunctionResource(
            uri=VIEW,
            name="search",
            title="A search, to look at",
            description="Best so far, candidates with their changes and profiles, for hosts that show MCP Apps.",
            mime_type=APP_MIME_TYPE,
            meta={"ui": UI},
            fn=_page,
        )
    )
    return found


def register_data(server: MCPServer, bench: Bench) -> None:
    """What the page reads through its host, beside the tool's result."""

    @cache
    def logs() -> Logs:
        return Logs(place_of(bench.home))

    @server.resource(
        "report://{run}{?log,offset}",
        name="report",
        title="A search, for its page",
        description="All that the page of a search shows, packed: candidates, kernels, profiles. For the view of "
        "get_search, which reads it in parts of up to 200 KB; models read run:// and kernel://.",
        mime_type="application/json",
    )
    def read_report(run: str, log: str = "", offset: str = "0") -> str:
        try:
            return logs().part(run, log, int(offset) if offset.isascii() and offset.isdigit() else 0)
        except AgentError as error:
            raise ResourceNotFoundError(str(error)) from error


def _page() -> str:
    from .page import page

    return page(None, "app")
