"""What stands before the SDK's application: whose requests are heard, and how long a slow client is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import anyio
import h11
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ...tools.callers import PRESENCE, Presence

HEALTH = "/healthz"
HEADERS_WITHIN_S = 10.0
BODY_WITHIN_S = 30.0
MAX_OPEN_REQUESTS = 960
RETRY_AFTER_S = 5
READS_WITHIN_S = 60.0  # a client that takes nothing of its answer for so long is disconnected


def security(allowed: Iterable[str], loopback: Iterable[str] = ()) -> TransportSecuritySettings:
    """`allowed`: names by which callers may address this server, with a port (then only that one) or without (any).
    `loopback`: likewise of this machine, where no page has https."""
    known = {name: _ports(name) for name in (*loopback, *allowed)}
    secure = {origin for name in allowed for origin in _ports(name)}
    names = [host for hosts in known.values() for host in hosts]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=names,
        allowed_origins=[f"http://{name}" for name in names] + [f"https://{name}" for name in secure],
    )


def _ports(host: str) -> list[str]:
    has_port = host.rpartition("]")[2].count(":") == 1
    return [host] if has_port else [host, f"{host}:*"]


class Gate:
    """ASGI middleware. Checks Host and Origin of every request, before anybody is asked for a token: the metadata of
    OAuth and the answers 401 are not for pages whose name was made to lead here either. Answers 503 when too many
    requests are open. Answers HEALTH itself, by any name and however many are open: an orchestrator asks by address,
    and a server with much to do is not one to be killed."""

    def __init__(self, app: ASGIApp, settings: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(settings)
        self._stopping = anyio.Event()
        self._leaving = False
        self._open = 0

    def leave(self) -> None:
        """From now on HEALTH says that this server stops; what is open is answered."""
        self._leaving = True

    def hang_up(self) -> None:
        """From now on every request looks to the application as if its client had gone."""
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == HEALTH:
            status, said = (503, "stopping\n") if self._leaving else (200, "ok\n")
            await PlainTextResponse(said, status)(scope, receive, send)
            return
        refusal = await self._check.validate_request(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if self._open >= MAX_OPEN_REQUESTS:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            await Response("busy: too many requests are open here", 503, headers)(scope, receive, send)
            return
        self._open += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._open -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        open_answer = False
        scope[PRESENCE] = presence = Presence()

        async def unless_stopping() -> Message:
            message = await self._unless_stopping(receive)
            if message["type"] == "http.disconnect":
                presence.leave()
            return message

        async def noting(message: Message) -> None:
            nonlocal open_answer
            open_answer = message["type"] == "http.response.start" or bool(message.get("more_body"))
            await send(message)

        await self._app(scope, unless_stopping, noting)
        if open_answer and self._stopping.is_set():  # a stream whose client we hung up on
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _unless_stopping(self, receive: Receive) -> Message:
        message: Message = {"type": "http.disconnect"}

        async def stop() -> None:
            await self._stopping.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            message = await receive()
            tasks.cancel_scope.cancel()
        return message


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with limits for clients that send their headers, or take their answer, a byte at a time."""

    _waiting: asyncio.TimerHandle | None = None
    _waiting_for: Any = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_more()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not self._waiting_for:
            self._await_more()

    def _await_more(self) -> None:
        """A time in which all headers must have come, or the whole body, however steadily the bytes drip."""
        self._waiting, self._waiting_for = _cancelled(self._waiting), self.conn.their_state
        within_s = {h11.IDLE: HEADERS_WITHIN_S, h11.SEND_BODY: BODY_WITHIN_S}.get(self._waiting_for)
        if within_s is not None:
            self._waiting = self.loop.call_later(within_s, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(READS_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing = _cancelled(self._writing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting, self._writing = _cancelled(self._waiting), _cancelled(self._writing)
        super().connection_lost(exc)


def _cancelled(timer: asyncio.TimerHandle | None) -> Any:
    if timer is not None:
        timer.cancel()
    return None
