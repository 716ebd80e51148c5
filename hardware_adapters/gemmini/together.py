"""Work of NumPy beside a process that runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")
U = TypeVar("U")


async def together(work: Callable[[], T], other: Awaitable[U]) -> tuple[T, U]:
    """`work` in a thread beside `other`. The error of either is raised as it is, not in a group."""
    results: list[T] = []
    others: list[U] = []
    errors: list[Exception] = []

    async def in_thread() -> None:
        try:
            results.append(await anyio.to_thread.run_sync(work, abandon_on_cancel=True))
        except Exception as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_thread)
        try:
            others.append(await other)
        except Exception as error:
            errors.insert(0, error)
            tasks.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return results[0], others[0]
