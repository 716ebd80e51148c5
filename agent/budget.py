"""Money and evaluations: checked before each call, with what is in flight counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from .errors import LimitExceeded


class Spending:
    """What one call turns out to have cost; set while the call's reservation is held."""

    usd: float | None = 0.0


class CostBudget:
    """USD of a run. A call may start when all in flight and itself, at the most they can cost, stay within the limit;
    or when nothing is in flight and something is left. So the limit is never exceeded by more than one call."""

    def __init__(self, limit: float | None, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._reserved = 0.0
        self._in_flight = 0
        self._changed = anyio.Event()

    @property
    def left(self) -> float | None:
        return None if self.limit is None else max(0.0, self.limit - self.spent)

    def check(self) -> None:
        """Raises LimitExceeded."""
        if self.limit is not None and self.spent >= self.limit:
            raise LimitExceeded("cost", self.spent, self.limit)

    @asynccontextmanager
    async def call(self, most: float) -> AsyncIterator[Spending]:
        """Reserve `most` USD, waiting for calls in flight where needed. Raises LimitExceeded when nothing is left."""
        while True:
            self.check()
            fits = self.limit is None or self.spent + self._reserved + most <= self.limit
            if fits or not self._in_flight:
                break
            await self._changed.wait()
        self._reserved += most
        self._in_flight += 1
        spending = Spending()
        try:
            yield spending
        finally:
            self.spent += spending.usd or 0.0
            self._reserved -= most
            self._in_flight -= 1
            self._changed.set()
            self._changed = anyio.Event()


def affordable(done: int, wanted: int, limit: int | None) -> int:
    """How many of `wanted` further evaluations the limit allows."""
    return wanted if limit is None else max(0, min(wanted, limit - done))
