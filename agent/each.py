"""Work done at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")
S = TypeVar("S")


async def each(items: Sequence[S], work: Callable[[S], Awaitable[T]], *, stop_at_failure: bool = False) -> list[T]:
    """All at once; results in the order of the items. When some fail, the others still end (they are paid for), then
    the failure of the first item that has one is raised, without a group around it. `stop_at_failure`: the first that
    fails stops the others, and its failure is raised."""
    results: dict[int, T] = {}
    failures: dict[int, Exception] = {}

    async def one(index: int, item: S) -> None:
        try:
            results[index] = await work(item)
        except Exception as error:
            failures[index] = error
            if stop_at_failure:
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index, item in enumerate(items):
            tasks.start_soon(one, index, item)
    if failures:
        raise failures[next(iter(failures)) if stop_at_failure else min(failures)]
    return [results[index] for index in range(len(items))]


@asynccontextmanager
async def beside() -> AsyncIterator[TaskGroup]:
    """Tasks that end with the block; what the block raises is raised without a group around it."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
