"""The page served: /report/RUN, kept up to date by server-sent events; /report/ lists the runs."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, quote

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ...agent.errors import AgentError, UnknownRunError
from ...agent.runs.journal import Journal
from ..report.page import page, policy
from ..report.sheets import login_sheet, runs_sheet, sheet_policy
from .auth import Access, bearer, shown_by
from .passes import COOKIE, LASTS_S, Passes

log = logging.getLogger(__name__)

PATH = "/report"
POLL_S = 1.0
RESTING_POLL_S = 4.0  # of a run that nobody drives; a resumed one is seen then
WORK_SHARE = 0.2  # of the time a large run may be worked at for one page
ALIVE_EVERY_S = 15.0  # a comment, so that no proxy takes the stream for dead
MAX_STREAMS = 32
MAX_FORM_BYTES = 16_384
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none, browsers send a form's Origin as null, which the gate refuses
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Reports:
    """The routes. `access`: who may look; None with `guarded` False: everybody who reaches this server."""

    def __init__(
        self,
        place: str | Path,
        access: Access | None = None,
        passes: Passes | None = None,
        *,
        guarded: bool = False,
        expected: str | None = None,
    ) -> None:
        """`place`: of the runs (agent/runs/database.py). `expected`: a run about to begin; its page waits for it."""
        self._place = place
        self._access = access
        self.passes = passes or Passes()
        self._guarded = guarded or access is not None
        self._expected = expected
        self._journal: Journal | None = None
        self._streams = 0
        self._closing = anyio.Event()
        self._drained = anyio.Event()

    def routes(self) -> list[Route]:
        return [
            Route(f"{PATH}/login", self._login, methods=["POST"]),
            Route(f"{PATH}/", self._runs),
            Route(PATH, self._to_runs),
            Route(f"{PATH}/{{run}}", self._page),
            Route(f"{PATH}/{{run}}/events", self._events),
        ]

    def close(self) -> None:
        """Streams send what is new, and end."""
        self._closing.set()

    async def drained(self) -> None:
        """After `close`: until no page gets updates any more."""
        if self._streams:
            await self._drained.wait()

    # ------------------------------------------------------------ who may look

    async def _may(self, request: Request) -> bool:
        if not self._guarded or self.passes.opens(request.cookies.get(COOKIE, "")):
            return True
        return await bearer(self._access, request) is not None

    def _admitted(self, request: Request, caller: str, where: str) -> Response:
        answer = RedirectResponse(where, 303, headers=SAFE_HEADERS)
        secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        answer.set_cookie(
            COOKIE, self.passes.seal(caller), max_age=LASTS_S, path=PATH, httponly=True, samesite="strict",
            secure=secure,
        )  # fmt: skip
        return answer

    async def _login(self, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                return PlainTextResponse("too long", 413, headers=SAFE_HEADERS)
        form = parse_qs(body.decode(errors="replace"))
        given, back = form.get("token", [""])[0].strip(), form.get("back", [""])[0]
        where = back if back.startswith(f"{PATH}/") and "\\" not in back and back.isprintable() else f"{PATH}/"
        caller = await shown_by(self._access, given)
        if caller is None:
            return self._ask(where, 401, wrong=True)
        return self._admitted(request, caller, where)

    def _ask(self, back: str, status: int, *, wrong: bool = False) -> Response:
        headers = SAFE_HEADERS | {"Content-Security-Policy": sheet_policy()}
        if self._access is None:  # of a dashboard, whose address had a ticket
            return PlainTextResponse("This address opens once. The command says how to see the run.\n", 401, headers)
        return HTMLResponse(login_sheet(back, wrong), status, headers | {"WWW-Authenticate": "Bearer"})

    # ------------------------------------------------------------ what is shown

    async def _to_runs(self, request: Request) -> Response:
        return RedirectResponse(f"{PATH}/", 308, headers=SAFE_HEADERS)

    async def _runs(self, request: Request) -> Response:
        if not await self._may(request):
            return self._ask(f"{PATH}/", 401)
        listed = await anyio.to_thread.run_sync(lambda: self._open().statuses())
        headers = SAFE_HEADERS | {"Content-Security-Policy": sheet_policy()}
        return HTMLResponse(runs_sheet(listed), headers=headers)

    async def _page(self, request: Request) -> Response:
        run = request.path_params["run"]
        if self.passes.takes(request.query_params.get("ticket", "")):
            return self._admitted(request, "ticket", f"{PATH}/{run}")
        if not await self._may(request):
            return self._ask(f"{PATH}/{run}", 401)
        if not await anyio.to_thread.run_sync(partial(self._known, run)):
            return PlainTextResponse("no such run\n", 404, headers=SAFE_HEADERS)
        headers = SAFE_HEADERS | {"Content-Security-Policy": f"{policy('live')}; frame-ancestors 'none'"}
        return HTMLResponse(page(None, "live", f"{PATH}/{quote(run)}/events"), headers=headers)

    async def _events(self, request: Request) -> Response:
        run = request.path_params["run"]
        if not await self._may(request):
            return PlainTextResponse("no token\n", 401, headers=SAFE_HEADERS | {"WWW-Authenticate": "Bearer"})
        if self._streams >= MAX_STREAMS:
            return PlainTextResponse("too many pages are open\n", 503, headers=SAFE_HEADERS)
        if not await anyio.to_thread.run_sync(partial(self._known, run)):
            return PlainTextResponse("no such run\n", 404, headers=SAFE_HEADERS)
        return StreamingResponse(
            self._counted(run), media_type="text/event-stream", headers=SAFE_HEADERS | {"X-Accel-Buffering": "no"}
        )

    async def _counted(self, run: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            async for event in self._stream(run):
                yield event
        finally:
            self._streams -= 1
            if self._closing.is_set() and not self._streams:
                self._drained.set()

    async def _stream(self, run: str) -> AsyncIterator[str]:
        from ..report.following import Following

        yield "retry: 2000\n\n"
        while not await anyio.to_thread.run_sync(partial(self._begun, run)):
            if self._closing.is_set():
                return
            with anyio.move_on_after(POLL_S / 4):
                await self._closing.wait()
        following, said_at = Following(self._open(), run), time.monotonic()
        while True:
            closing, began = self._closing.is_set(), time.monotonic()
            try:
                news = await anyio.to_thread.run_sync(following.news)
            except AgentError as error:
                log.error("the page of run %s gets no updates: %s", run, error)
                return
            pause = POLL_S if following.alive else RESTING_POLL_S
            if news is not None:
                yield f"event: snapshot\ndata: {news.json_text()}\n\n"
                said_at = time.monotonic()
                pause = max(pause, (said_at - began) / WORK_SHARE)
            elif time.monotonic() - said_at > ALIVE_EVERY_S:
                yield ": still here\n\n"
                said_at = time.monotonic()
            if closing:
                yield "event: end\ndata: {}\n\n"
                return
            with anyio.move_on_after(pause):
                await self._closing.wait()

    def _known(self, run: str) -> bool:
        return run == self._expected or self._begun(run)

    def _begun(self, run: str) -> bool:
        try:
            self._open().first_row(run)
        except UnknownRunError:
            return False
        return True

    def _open(self) -> Journal:
        if self._journal is None:
            self._journal = Journal(self._place)
        return self._journal
