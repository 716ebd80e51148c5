"""Work beside a process that runs: of NumPy in a thread, or of a process of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")
U = TypeVar("U")


async def in_thread(work: Callable[[], T]) -> T:
    """Nobody waits for the thread's end after a cancellation."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


async def together(work: Awaitable[T], other: Awaitable[U]) -> tuple[T, U]:
    """Both at once. The error of either is raised as it is, not in a group; of two errors that of `other`."""
    results: list[T] = []
    others: list[U] = []
    errors: list[Exception] = []

    async def beside() -> None:
        try:
            results.append(await work)
        except Exception as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beside)
        try:
            others.append(await other)
        except Exception as error:
            errors.insert(0, error)
            tasks.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return results[0], others[0]
