"""Turns at the executor: as many evaluations at once as it takes, and callers served in turn."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

import anyio
import anyio.lowlevel
from mcp.server.mcpserver.exceptions import ToolError

from ..agent.answers import ENVIRONMENT
from .metering import waits, works

MAX_WAITING = 2048  # evaluations; a call has up to eight
RETRY_AFTER_S = (1.0, 60.0)
_MEMORY = 0.1  # weight of the newest evaluation in how long one takes

_caller: ContextVar[str | None] = ContextVar("caller", default=None)


@contextmanager
def on_behalf_of(caller: str) -> Iterator[None]:
    """What is begun within, tasks and searches too, waits in this caller's queue."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def busy(what: str, retry_after_s: float) -> str:
    """The words of a refusal that passes. `Toolbox` reads them, and so may any client."""
    return f"{ENVIRONMENT} busy, retry after {retry_after_s:.0f} s. {what}"


class Slots:
    """`async with slots`: enter when there is room. Of those that wait the caller whose turn it is goes first, and
    among his calls the oldest, so a flood of one delays another by little more than what runs already.

    `at_once` may be asked anew each time: a cluster grows and shrinks. Raises ToolError when too many wait.
    """

    def __init__(
        self,
        at_once: int | Callable[[], int],
        most_waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once if callable(at_once) else lambda: at_once
        self._running = 0
        self._most_waiting = most_waiting
        self._clock = clock
        self._waiting: OrderedDict[str | None, deque[anyio.Event]] = OrderedDict()  # the next caller first
        self._began: dict[int, float] = {}  # by task
        self._takes_s = 1.0

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def retry_after_s(self) -> float:
        """When about half of those that wait now will be through."""
        least, most = RETRY_AFTER_S
        return min(most, max(least, self._takes_s * (self.waiting + 1) / self._at_once() / 2))

    async def __aenter__(self) -> None:
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._running < self._at_once() and not self._waiting:
            self._running += 1
        else:
            await self._queue(_caller.get())
        self._began[anyio.get_current_task().id] = self._clock()
        works(1)

    async def _queue(self, caller: str | None) -> None:
        if self.waiting >= self._most_waiting:
            raise ToolError(busy(f"{self.waiting} evaluations are waiting at this server.", self.retry_after_s))
        turn = anyio.Event()
        self._waiting.setdefault(caller, deque()).append(turn)
        waits(1)
        self._admit()  # there may be more room than when the last one ended
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the slot came with the cancellation
                self._release()
            else:
                queue = self._waiting[caller]
                queue.remove(turn)
                if not queue:
                    del self._waiting[caller]
            raise
        finally:
            waits(-1)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        works(-1)
        began = self._began.pop(anyio.get_current_task().id, None)
        if began is not None:
            self._takes_s += _MEMORY * (self._clock() - began - self._takes_s)
        self._release()

    def _release(self) -> None:
        self._running -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._running < self._at_once():
            caller, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[caller] = queue  # at the end: the others come first
            self._running += 1
            turn.set()
