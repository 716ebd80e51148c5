"""serve: the MCP server on stdio or HTTP, in one process or several."""

from __future__ import annotations

import os
import signal
import socket
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import anyio

from ...hardware_adapters.base import EnvironmentLackError, UsageError
from ...hardware_adapters.sandbox.layers import required
from ...menus.menu import UnknownNameError
from ..shell import DONE, ENVIRONMENT, SIGNALLED, USAGE, say

if TYPE_CHECKING:
    from ..app import Deployment, Server
    from .http import Address, Service
    from .oauth import OAuth
    from .toolsets import Selection

# A client that takes nothing from our stdout any more can hold an orderly end up: then the process ends without.
STOPPING_S = 5.0


class Offer(NamedTuple):
    """What `serve` was told, as on the command line."""

    http: str | None = None
    toolsets: str | None = None
    exclude: tuple[str, ...] = ()
    read_only: bool = False
    token_file: Path | None = None
    oauth_issuer: str | None = None
    oauth_audience: tuple[str, ...] = ()
    oauth_scope: tuple[str, ...] = ()
    resource_url: str | None = None
    allow_host: tuple[str, ...] = ()
    max_request_bytes: int = 4 << 20
    max_calls: int = 64
    max_searches: int = 4
    workers: int = 1
    state_key_file: Path | None = None
    metrics: bool = False


def serve(offer: Offer) -> int:
    """Returns the exit status."""
    if required():
        from ...hardware_adapters.sandbox import check_required

        try:
            anyio.run(check_required)
        except EnvironmentLackError as error:
            say(f"autocomp-mcp: {error}")
            return ENVIRONMENT
    from ...hardware_adapters.execution import chosen_executor
    from .toolsets import NoToolLeftError, Selection

    try:
        chosen_executor()
        selection = Selection.of(offer.toolsets, offer.exclude, offer.read_only)
        selection.tools()
    except (UnknownNameError, NoToolLeftError, UsageError) as error:
        return _wrong(error)
    from .telemetry import TelemetryError

    if offer.metrics and (offer.http is None or offer.workers > 1):
        return _wrong(
            TelemetryError(
                "--metrics is for one process that serves over HTTP (--http, without --workers); others can send "
                "theirs to a collector: OTEL_EXPORTER_OTLP_ENDPOINT=URL"
            )
        )
    if offer.http is None:
        return _stdio(selection)
    from ...agent.errors import AgentUsageError
    from .auth import TokenError
    from .http import AddressError

    try:
        return _http(offer, selection)
    except (AddressError, TokenError, TelemetryError, AgentUsageError) as error:
        return _wrong(error)


def _wrong(error: Exception) -> int:
    say(f"autocomp-mcp: {error}")
    return USAGE


def _stdio(selection: Selection) -> int:
    from ..app import build_server
    from .telemetry import set_up

    set_up(scraped=False)
    number = anyio.run(_serve_stdio, build_server(selection=selection))
    return DONE if number is None else SIGNALLED + number


async def _serve_stdio(server: Server) -> int | None:
    """Serve until the client closes our stdin, or until SIGINT or SIGTERM, which is returned. Whatever runs is stopped
    first, and searches are journalled."""
    caught: list[int] = []
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for number in signals:
                    caught.append(number)
                    _end_at_last(SIGNALLED + number)
                    tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()
    return caught[0] if caught else None


def _end_at_last(status: int) -> None:
    timer = threading.Timer(STOPPING_S, os._exit, (status,))
    timer.daemon = True
    timer.start()


def _http(offer: Offer, selection: Selection) -> int:
    """Raises AddressError, TokenError, and AgentUsageError for a database that can be none."""
    from ...agent.runs.database import runs_of
    from ...hardware_adapters.store import Home
    from ..app import Deployment
    from . import http
    from .auth import access_by, environment_tokens, file_tokens
    from .state_keys import state_keys

    address = http.parse_address(offer.http or "")
    tokens = environment_tokens() + (file_tokens(offer.token_file) if offer.token_file else [])
    keys = state_keys(offer.state_key_file)
    runs_of(Home())  # the pages of runs need it at once, in every worker
    service = http.Service(
        authenticated=bool(tokens or offer.oauth_issuer),
        hosts=tuple(map(http.check_host, offer.allow_host)),
        max_request_bytes=offer.max_request_bytes,
        stateless=offer.workers > 1 or bool(keys),
    )
    http.check_exposure(address, service)
    try:
        listener = http.bind(address)
    except OSError as error:
        say(f"autocomp-mcp: cannot listen on {offer.http}: {error.strerror}")
        return ENVIRONMENT
    oauth = _oauth(offer, address, http.url(listener))
    access = access_by(tokens, oauth and oauth.verifier(), oauth and oauth.settings())
    if offer.workers > 1 and not keys:
        keys = (os.urandom(32),)
    deployment = Deployment(access, offer.max_calls, offer.max_searches, keys)
    work = partial(_serve_http, selection, deployment, listener, service, offer.metrics)
    say(f"autocomp-mcp: serving MCP at {http.url(listener)} (Ctrl-C stops)")
    if offer.workers == 1:
        return work(None)
    from .workers import supervise

    return supervise(work, offer.workers, http.STOPS_WITHIN_S)


def _serve_http(
    selection: Selection,
    deployment: Deployment,
    listener: socket.socket,
    service: Service,
    metrics: bool,
    parent: int | None,
) -> int:
    """Raises TelemetryError."""
    from ..app import build_server
    from . import http
    from .telemetry import set_up

    service = service._replace(scrape=set_up(scraped=metrics))
    server = build_server(selection=selection, deployment=deployment)
    number = anyio.run(http.serve, server, listener, service, parent)
    return DONE if number is None else SIGNALLED + number


def _oauth(offer: Offer, address: Address, url: str) -> OAuth | None:
    """Raises AddressError: what goes with the issuer is missing, or is there without one."""
    from .auth import is_loopback
    from .http import AddressError
    from .oauth import OAuth

    if offer.oauth_issuer is None:
        if offer.oauth_audience or offer.oauth_scope or offer.resource_url:
            raise AddressError("--oauth-audience, --oauth-scope and --resource-url need --oauth-issuer URL")
        return None
    if offer.resource_url is None and not is_loopback(address.host):
        raise AddressError("--oauth-issuer needs --resource-url URL: this server's address as callers know it")
    resource = offer.resource_url or url
    if urlsplit(resource).scheme not in ("http", "https") or not urlsplit(resource).hostname:
        raise AddressError(f"--resource-url {resource!r} is not an address such as https://kernels.example.org/mcp")
    return OAuth(offer.oauth_issuer, resource, offer.oauth_audience, offer.oauth_scope)
