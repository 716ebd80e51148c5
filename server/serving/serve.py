"""serve: the MCP server on stdio or HTTP, in one process or several."""

from __future__ import annotations

import os
import signal
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from ...hardware_adapters.base import EnvironmentLackError, UsageError
from ...hardware_adapters.sandbox.layers import sandbox_required
from ...menus.menu import UnknownNameError
from ..shell import DONE, ENVIRONMENT, SIGNALLED, USAGE, say

if TYPE_CHECKING:
    from ..app import Deployment, Server
    from .http import Address, Service
    from .oauth import OAuth
    from .options import ServeOptions
    from .toolsets import Selection

# A client that takes nothing from our stdout any more can hold an orderly end up: then the process ends without.
STOPPING_S = 5.0


def serve(options: ServeOptions) -> int:
    """Returns the exit status."""
    if sandbox_required():
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
        selection = Selection.of(options.toolsets, options.exclude or (), options.read_only)
        selection.tools()
    except (UnknownNameError, NoToolLeftError, UsageError) as error:
        return _wrong(error)
    from .telemetry import TelemetryError

    if options.metrics and (options.http is None or options.workers > 1):
        return _wrong(
            TelemetryError(
                "--metrics is for one process that serves over HTTP (--http, without --workers); others can send "
                "theirs to a collector: OTEL_EXPORTER_OTLP_ENDPOINT=URL"
            )
        )
    if options.http is None:
        return _stdio(selection)
    from ...agent.errors import AgentUsageError
    from .auth import TokenError
    from .http import AddressError

    try:
        return _http(options, selection)
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


def _http(options: ServeOptions, selection: Selection) -> int:
    """Raises AddressError, TokenError, and AgentUsageError for a database that can be none."""
    from ...agent.runs.database import place_of
    from ...hardware_adapters.store import Home
    from ..app import Deployment
    from . import http
    from .auth import access_by, environment_tokens, file_tokens
    from .state_keys import state_keys

    address = http.parse_address(options.http or "")
    tokens = environment_tokens() + (file_tokens(options.token_file) if options.token_file else [])
    keys = state_keys(options.state_key_file)
    place_of(Home())  # the pages of runs need it at once, in every worker
    service = http.Service(
        authenticated=bool(tokens or options.oauth_issuer),
        hosts=tuple(map(http.check_host, options.allow_host or ())),
        max_request_bytes=options.max_request_bytes,
        stateless=options.workers > 1 or bool(keys),
    )
    http.check_exposure(address, service)
    try:
        listener = http.bind(address)
    except OSError as error:
        say(f"autocomp-mcp: cannot listen on {options.http}: {error.strerror}")
        return ENVIRONMENT
    oauth = _oauth(options, address, http.url(listener))
    access = access_by(tokens, oauth and oauth.verifier(), oauth and oauth.settings())
    if options.workers > 1 and not keys:
        keys = (os.urandom(32),)
    deployment = Deployment(access, options.max_calls, options.max_searches, keys)
    work = partial(_serve_http, selection, deployment, listener, service, options.metrics)
    say(f"autocomp-mcp: serving MCP at {http.url(listener)} (Ctrl-C stops)")
    if options.workers == 1:
        return work(None)
    from .workers import supervise

    return supervise(work, options.workers, http.STOPS_WITHIN_S)


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


def _oauth(options: ServeOptions, address: Address, url: str) -> OAuth | None:
    """Raises AddressError: what goes with the issuer is missing, or is there without one."""
    from .auth import is_loopback
    from .http import AddressError
    from .oauth import OAuth

    if options.oauth_issuer is None:
        if options.oauth_audience or options.oauth_scope or options.resource_url:
            raise AddressError("--oauth-audience, --oauth-scope and --resource-url need --oauth-issuer URL")
        return None
    if options.resource_url is None and not is_loopback(address.host):
        raise AddressError("--oauth-issuer needs --resource-url URL: this server's address as callers know it")
    resource = options.resource_url or url
    if urlsplit(resource).scheme not in ("http", "https") or not urlsplit(resource).hostname:
        raise AddressError(f"--resource-url {resource!r} is not an address such as https://kernels.example.org/mcp")
    return OAuth(options.oauth_issuer, resource, tuple(options.oauth_audience or ()), tuple(options.oauth_scope or ()))
