"""Streamable HTTP: the SDK's application on uvicorn, on this machine only."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

DEFAULT_ADDRESS = "127.0.0.1:8321"
MCP_PATH = "/mcp"
SHUTDOWN_GRACE_S = 3


class AddressError(ValueError):
    """HOST:PORT is malformed, or names an address this server must not listen on."""


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[v6]:PORT` or `PORT`. Raises AddressError.

    Only loopback is accepted: the tools run code that callers send, and there is no authentication yet.
    """
    host, _, port_text = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port_text.isdigit() or not 0 <= int(port_text) <= 65535:
        raise AddressError(f"{text!r} is not HOST:PORT, e.g. {DEFAULT_ADDRESS}")
    if not _is_loopback(host):
        raise AddressError(
            f"refusing to listen on {host!r}: there is no authentication yet, so only this machine may connect. "
            f"Use 127.0.0.1:{port_text}, and reach it from elsewhere through a tunnel: "
            f"ssh -L {port_text}:127.0.0.1:{port_text} THIS_MACHINE"
        )
    return host, int(port_text)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, so that port 0 can be announced before serving. Raises OSError (in use, not allowed)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(server: MCPServer[Any], listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM. Host and Origin are checked by the SDK; request bodies are limited to 4 MiB."""
    # Named here and not left to the SDK's default, which checks nothing for other loopback addresses (127.0.0.2).
    host = listener.getsockname()[0]
    names = ["127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[f"{name}:*" for name in names],
        allowed_origins=[f"http://{name}:*" for name in names],
    )
    app = server.streamable_http_app(host=host, streamable_http_path=MCP_PATH, transport_security=security)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_GRACE_S, access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])
