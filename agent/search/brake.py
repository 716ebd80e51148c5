"""What stops an iteration early: after a failure, or at a limit, nothing new is begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import AgentError, JournalError, LeaseLostError


class Brake:
    """Entered right before each call of a model and each evaluation, when it has its slot: what still waits for one is
    not begun. What a model wrote is paid for, so it is judged whatever stopped the asking; it is not where judging
    itself failed, or where nothing can be written down."""

    def __init__(self) -> None:
        self._asking: AgentError | None = None
        self._judging: AgentError | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        if self._asking is not None:
            raise self._asking
        try:
            yield
        except AgentError as error:
            self._asking = self._asking or error
            if isinstance(error, JournalError | LeaseLostError):
                self._judging = self._judging or error
            raise

    @contextmanager
    def judging(self) -> Iterator[None]:
        if self._judging is not None:
            raise self._judging
        try:
            yield
        except AgentError as error:
            self._judging = self._judging or error
            self._asking = self._asking or error
            raise
