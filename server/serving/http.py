"""Streamable HTTP: the SDK's application on uvicorn, behind our gate. Where it may listen, and how it stops."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import anyio
import uvicorn

from ...agent.runs.database import place_of
from .auth import TOKEN_VARIABLE, is_loopback
from .gate import Gate, PatientProtocol, security
from .live import Reports
from .options import MAX_REQUEST_BYTES
from .passes import Passes
from .telemetry import metrics_route

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from ..app import Server

DEFAULT_ADDRESS = "127.0.0.1:8321"
MCP_PATH = "/mcp"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
GIVEN_UP_WITHIN_S = 10.0  # calls, with their compilers and simulators, on a machine that is busy
ANSWER_GRACE_S = 0.5  # in which they are answered, before their connections are closed
SHUTDOWN_GRACE_S = 3
STOPS_WITHIN_S = GIVEN_UP_WITHIN_S + ANSWER_GRACE_S + SHUTDOWN_GRACE_S + 1.5
MAX_CONNECTIONS = 1024


class AddressError(ValueError):
    """HOST:PORT is malformed, or names an address this server must not listen on."""


class Address(NamedTuple):
    host: str
    port: int


class Service(NamedTuple):
    """How to serve over HTTP. `stateless`: no sessions for clients of the older protocols either, so that any process
    of several can answer any request. `scrape`: what METRICS_PATH answers, for whoever may call."""

    authenticated: bool = False
    hosts: tuple[str, ...] = ()
    max_request_bytes: int = MAX_REQUEST_BYTES
    stateless: bool = False
    scrape: Callable[[], bytes] | None = None


def parse_address(text: str) -> Address:
    """`HOST:PORT`, `[v6]:PORT` or `PORT`. Raises AddressError."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or not 0 <= int(port) <= 65535:
        raise AddressError(f"{text!r} is not HOST:PORT, e.g. {DEFAULT_ADDRESS}")
    return Address(host, int(port))


def check_exposure(address: Address, service: Service) -> None:
    """Beyond this machine only those may call who have a token, by names that were allowed. Raises AddressError,
    which says what is missing."""
    if is_loopback(address.host):
        return
    missing = []
    if not service.authenticated:
        missing.append(f"--token-file FILE, {TOKEN_VARIABLE} or --oauth-issuer URL (who may call)")
    if not service.hosts:
        missing.append("--allow-host NAME (the names by which callers reach this server)")
    if missing:
        raise AddressError(
            f"refusing to listen on {address.host!r}: the tools run code that callers send. Missing: "
            f"{'; and '.join(missing)}. Or listen on 127.0.0.1:{address.port}, and reach it through a tunnel: "
            f"ssh -L {address.port}:127.0.0.1:{address.port} THIS_MACHINE"
        )


def check_host(name: str) -> str:
    """A name or address for --allow-host, with a port or without. Raises AddressError."""
    lowered = name.lower()
    if not lowered or any(c in lowered for c in "*/?#@ ,") or (lowered.count(":") > 1 and not lowered.startswith("[")):
        raise AddressError(f"--allow-host {name!r}: give a host name or address, e.g. kernels.example.org or 10.0.0.5")
    return lowered


def bind(address: Address) -> socket.socket:
    """A listening socket, so that port 0 can be announced before serving. Raises OSError (in use, not allowed)."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio sends without delay only where the protocol is named; an answer in two parts would wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{MCP_PATH}"


async def serve(
    server: Server, listener: socket.socket, service: Service, parent: int | None = None
) -> signal.Signals | None:
    """Serve until SIGINT or SIGTERM, which is returned, or until the descriptor `parent` can be read from. Calls that
    run then are answered that the server stops, their compilers and simulators are gone at once, searches are
    journalled, and the other connections are closed."""
    gate = _application(server, listener, service)
    running = listening(gate)
    caught: list[signal.Signals] = []

    async def watch() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if caught:
                    running.force_exit = True
                    continue
                caught.append(signal.Signals(number))
                tasks.start_soon(stop, number)

    async def outlive_nobody(descriptor: int) -> None:
        await anyio.wait_readable(descriptor)
        await stop(signal.SIGTERM)

    async def stop(number: int) -> None:
        gate.leave()
        server.stop()
        with anyio.move_on_after(GIVEN_UP_WITHIN_S):
            await server.stopped()
        await anyio.sleep(ANSWER_GRACE_S)
        gate.hang_up()
        running.handle_exit(number, None)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        if parent is not None:
            tasks.start_soon(outlive_nobody, parent)
        await running.serve(sockets=[listener])
        tasks.cancel_scope.cancel()
    return caught[0] if caught else None


def listening(app: ASGIApp) -> _Uvicorn:
    """Serves on the sockets it is given, and leaves signals to others."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a caller's address is his address, not what he writes into a header
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return _Uvicorn(config)


def local_names(listener: socket.socket) -> tuple[str, ...]:
    """Names by which this machine may be addressed through a listener on its loopback; none for other listeners."""
    host = listener.getsockname()[0]
    return (*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host) if is_loopback(host) else ()


def _application(server: Server, listener: socket.socket, service: Service) -> Gate:
    settings = security(service.hosts, local_names(listener))
    app = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        transport_security=settings,
        max_request_body_size=service.max_request_bytes,
        stateless_http=service.stateless,
    )
    if server.shows_searches:
        deployment = server.deployment
        reports = Reports(place_of(server.bench.home), deployment.access, Passes(deployment.keys))
        app.router.routes.extend(reports.routes())
    if service.scrape is not None:
        app.router.routes.append(metrics_route(service.scrape, server.deployment.access))
    return Gate(app, settings)


class _Uvicorn(uvicorn.Server):
    """Leaves signals to `serve`, which has more to stop than connections."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
