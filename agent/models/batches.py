"""Calls of the Message Batches API: those that wait at the same time go out together, at a lower price, and come back
when the service has found the time.

There is no task in the background. Whoever waits for a batch first drives it; when that one is cancelled, the next one
goes on where it stopped; when nobody waits any more, the batch is cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio

WINDOW_S = 1.0  # a batch goes out when so long nothing more has come
MAX_WINDOWS = 20
MAX_REQUESTS = 1_000
POLL_S = (2.0, 120.0)  # between looks at a batch: at first, and at most; each time half as long again


class Outcome(NamedTuple):
    """A message, or why there is none."""

    message: Any = None
    error: str | None = None
    kind: str | None = None  # of the error, as the service names it


class Service(NamedTuple):
    """What the provider's API does with batches; errors are the caller's to name."""

    submit: Callable[[dict[str, dict[str, Any]]], Awaitable[str]]  # custom id -> body; the batch's id
    ended: Callable[[str], Awaitable[bool]]
    outcomes: Callable[[str], Awaitable[dict[str, Outcome]]]
    cancel: Callable[[str], Awaitable[None]]


class Batcher:
    def __init__(
        self,
        service: Service,
        *,
        window_s: float = WINDOW_S,
        poll_s: tuple[float, float] = POLL_S,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._service = service
        self._window_s = window_s
        self._poll_s = poll_s
        self._sleep = sleep
        self._open: _Batch | None = None

    async def ask(self, body: dict[str, Any]) -> Outcome:
        """The call's outcome. Raises what the service's calls raise."""
        batch = self._open
        if batch is None or len(batch.bodies) >= MAX_REQUESTS:
            batch = self._open = _Batch()
        own = f"call-{batch.joined}"
        batch.joined += 1
        batch.bodies[own] = body
        batch.waiting.add(own)
        try:
            async with batch.driving:
                if batch.outcomes is None:
                    await self._drive(batch)
        finally:
            batch.waiting.discard(own)
            if batch.id is None and batch.outcomes is None:
                batch.bodies.pop(own, None)  # not sent yet: nobody is to pay for it
            elif batch.outcomes is None and not batch.waiting and batch.id is not None:
                with anyio.move_on_after(10, shield=True):
                    await self._service.cancel(batch.id)
        assert batch.outcomes is not None
        return batch.outcomes.get(own, Outcome(error="the batch holds no result for it", kind="api_error"))

    async def _drive(self, batch: _Batch) -> None:
        """To its end, from wherever it stands."""
        if batch.id is None:
            await self._gather(batch)
            with anyio.CancelScope(shield=True):  # a batch without its id could not be cancelled, yet be paid for
                batch.id = await self._service.submit(batch.bodies)
        identity = batch.id
        assert identity is not None
        delay, longest = self._poll_s
        while not await self._service.ended(identity):
            await self._sleep(delay)
            delay = min(longest, delay * 1.5)
        batch.outcomes = await self._service.outcomes(identity)

    async def _gather(self, batch: _Batch) -> None:
        for _ in range(MAX_WINDOWS):
            seen = batch.joined
            await self._sleep(self._window_s)
            if batch.joined == seen:
                break
        if self._open is batch:
            self._open = None


class _Batch:
    def __init__(self) -> None:
        self.joined = 0
        self.bodies: dict[str, dict[str, Any]] = {}
        self.waiting: set[str] = set()
        self.driving = anyio.Lock()
        self.id: str | None = None
        self.outcomes: dict[str, Outcome] | None = None
