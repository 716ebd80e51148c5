"""serve: the MCP server on stdio or HTTP."""

from __future__ import annotations

import anyio

from .shell import DONE, ENVIRONMENT, USAGE, say


def serve(address: str | None) -> int:
    from .app import build_server

    if address is None:
        server = build_server()
        server.run("stdio")
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
    anyio.run(http.serve, build_server(), listener)
    return DONE
