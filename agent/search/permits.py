"""Which kernels are still evaluated when a limit comes near: those of the lowest places, whatever arrives first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio

from ..errors import LimitExceeded


class Permits:
    """Evaluations of one iteration under a limit on the whole run.

    Every unit of work (one implementation of one plan) may need some evaluations and says when it is done. A unit
    gets a permit once enough are left for all units before it, so plenty means no waiting, and scarcity means order.
    """

    def __init__(self, limit: int | None, done: int, needs: Sequence[int]) -> None:
        """`done`: evaluations of the run before these; `needs`: the most that each unit may use."""
        self._limit = limit
        self._used = done
        self._in_flight = 0
        self._needs = list(needs)
        self._changed = anyio.Event()

    def granted(self, unit: int) -> bool:
        """Take a permit, if there is one for this unit now; `end` follows. Raises LimitExceeded when none is left, and
        none can come back."""
        if self._limit is not None:
            left = self._limit - self._used
            if left <= 0 and not self._in_flight:
                raise LimitExceeded("evaluations", self._used, self._limit)
            if left <= sum(self._needs[:unit]):
                return False
        self._used += 1
        self._in_flight += 1
        self._needs[unit] = max(0, self._needs[unit] - 1)
        self._wake()
        return True

    async def change(self) -> None:
        """Wait until an evaluation begins or ends, or a unit needs no more."""
        await self._changed.wait()

    def end(self, *, counts: bool) -> None:
        """An evaluation ended. It does not count when the kernel turned out to be known: the permit comes back."""
        self._in_flight -= 1
        self._used -= not counts
        self._wake()

    @contextmanager
    def settled(self, *units: int) -> Iterator[None]:
        """After it, however it ends, the units need no more."""
        try:
            yield
        finally:
            for unit in units:
                self._needs[unit] = 0
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
