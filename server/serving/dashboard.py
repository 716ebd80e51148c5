"""optimize --dashboard: the page of the search that this process drives, for a browser on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette

from ...agent.runs.database import place_of
from ...hardware_adapters.base import EnvironmentLackError
from ...hardware_adapters.store import Home
from .gate import Gate, security
from .http import Address, bind, listening, local_names
from .live import PATH, Reports

LAST_WORDS_S = 3.0  # in which pages get the end of the run


@asynccontextmanager
async def dashboard(run_id: str, home: Home, announce: Callable[[str], None]) -> AsyncIterator[None]:
    """Listens on a free port of 127.0.0.1 and announces the address. It has a ticket for one visit, so that no other
    user of the machine sees the kernels. Raises EnvironmentLackError."""
    try:
        listener = bind(Address("127.0.0.1", 0))
    except OSError as error:
        raise EnvironmentLackError(f"--dashboard cannot listen on 127.0.0.1: {error.strerror}") from error
    reports = Reports(place_of(home), guarded=True, expected=run_id)
    settings = security((), local_names(listener))
    running = listening(Gate(Starlette(routes=reports.routes()), settings))
    port = listener.getsockname()[1]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running.serve, [listener])
        announce(f"dashboard: http://127.0.0.1:{port}{PATH}/{run_id}?ticket={reports.passes.ticket()}")
        try:
            yield
        finally:
            reports.close()
            with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_WORDS_S):
                await reports.drained()
            running.should_exit = True
