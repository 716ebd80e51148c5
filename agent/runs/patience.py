"""Waiting for the disk: what is to be written down cost money or hours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import anyio

from ..errors import JournalError

log = logging.getLogger(__name__)

DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
T = TypeVar("T")


async def patiently(write: Callable[[], T]) -> T:
    """Write, again after each delay while it cannot be done: somebody may make room. Raises JournalError."""
    for delay in DELAYS_S:
        try:
            return write()
        except JournalError as error:
            log.warning("%s; trying again in %g s", error, delay)
        await anyio.sleep(delay)
    return write()
