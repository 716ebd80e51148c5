"""Money and tokens: checked before each call, with what is in flight counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import anyio

from ..errors import LimitExceeded


class Use(NamedTuple):
    """What calls use, or may use at the most."""

    usd: float = 0.0
    tokens: int = 0  # input and output


class Spending:
    """What one call turns out to have used; set while the call's reservation is held."""

    used: Use = Use()


class Budget:
    """Dollars and tokens of a run. A call may start when all in flight and itself, at the most they can use, stay
    within the limits; or when nothing is in flight and something is left. So no limit is exceeded by more than one
    call."""

    def __init__(self, usd: float | None = None, tokens: int | None = None, spent: Use | None = None) -> None:
        self._limits = (usd, tokens)
        self._spent = spent or Use()
        self._reserved = Use()
        self._in_flight = 0
        self._changed = anyio.Event()

    def check(self) -> None:
        """Raises LimitExceeded."""
        usd, tokens = self._limits
        if usd is not None and self._spent.usd >= usd:
            raise LimitExceeded("cost", self._spent.usd, usd)
        if tokens is not None and self._spent.tokens >= tokens:
            raise LimitExceeded("tokens", self._spent.tokens, tokens)

    @asynccontextmanager
    async def call(self, most: Use) -> AsyncIterator[Spending]:
        """Reserve `most`, waiting for calls in flight where needed. Raises LimitExceeded when nothing is left."""
        while True:
            self.check()
            if not self._in_flight or self._fits(most):
                break
            await self._changed.wait()
        self._reserved = _sum(self._reserved, most)
        self._in_flight += 1
        spending = Spending()
        try:
            yield spending
        finally:
            self._spent = _sum(self._spent, spending.used)
            self._reserved = _sum(self._reserved, Use(-most.usd, -most.tokens))
            self._in_flight -= 1
            self._changed.set()
            self._changed = anyio.Event()

    def _fits(self, most: Use) -> bool:
        expected = _sum(_sum(self._spent, self._reserved), most)
        return all(limit is None or value <= limit for limit, value in zip(self._limits, expected, strict=True))


def _sum(one: Use, other: Use) -> Use:
    return Use(one.usd + other.usd, one.tokens + other.tokens)
