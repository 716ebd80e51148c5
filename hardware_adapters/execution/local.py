"""Jobs on this machine, each begun only when there is memory for it."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from ..base import HardwareAdapter, Recall
from ..store import Home
from .executor import Executor, Job, Result
from .machine import available_bytes, processors
from .needs import needs_of

LOOK_S = 0.2
SETTLED_S = 3.0  # after which a job is thought to have taken the memory that it needs


class Local(Executor):
    """Compilers and simulators are processes of their own, so as many jobs at once as there are processors; never fewer
    than two, so that a long one does not hold up all others."""

    name = "local"

    def __init__(
        self,
        at_once: int | None = None,
        available: Callable[[], int | None] = available_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once or max(2, processors())
        self._available = available
        self._clock = clock
        self._running: dict[object, tuple[float, int]] = {}  # since when, and the bytes it needs
        self._lock = threading.Lock()

    def at_once(self) -> int:
        return self._at_once

    async def run(
        self,
        adapter: HardwareAdapter,
        job: Job,
        home: Home,
        *,
        recall: Recall | None = None,
        timeline: Path | None = None,
    ) -> Result:
        async with self._room(needs_of(adapter.target, job.engine).memory_bytes):
            return await job.on(adapter, recall=recall, timeline=timeline)

    @asynccontextmanager
    async def _room(self, needed: int) -> AsyncIterator[None]:
        key = object()
        while not self._begin(key, needed):  # noqa: ASYNC110 - memory that becomes free tells nobody
            await anyio.sleep(LOOK_S)
        try:
            yield
        finally:
            with self._lock:
                del self._running[key]

    def _begin(self, key: object, needed: int) -> bool:
        """Whether the job may begin; one may always, or nothing would ever get done on a full machine."""
        with self._lock:
            now = self._clock()
            # What has just begun will still take its memory: the system does not count that yet.
            promised = sum(size for since, size in self._running.values() if now - since < SETTLED_S)
            available = self._available()
            if self._running and available is not None and available - promised < needed:
                return False
            self._running[key] = (now, needed)
            return True
