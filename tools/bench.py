"""The workbench the tools share: adapters, the evaluator, and the slots that keep the machine responsive."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from ..hardware_adapters.base import (
    AdapterError,
    EngineFailure,
    EnvironmentLackError,
    Evaluation,
    HardwareAdapter,
    UsageError,
)
from ..menus.menu import UnknownNameError
from .results import clip

if TYPE_CHECKING:
    from ..hardware_adapters.store import Home

T = TypeVar("T")

HEARTBEAT_S = 4.0
MAX_ERROR = 2000  # characters; refusals quote what was passed, however long it was


class Bench:
    """What a tool needs to do its work. One per server; tests give it adapters of their own."""

    def __init__(self, home: Home | None = None, adapters: Mapping[str, HardwareAdapter] | None = None) -> None:
        self._home = home
        self._adapters = adapters
        # Compilers and simulators are processes of their own: more of them than cores only makes each one slower.
        self.slots = anyio.CapacityLimiter(max(2, os.cpu_count() or 1))

    @property
    def home(self) -> Home:
        if self._home is None:
            from ..hardware_adapters.store import Home

            self._home = Home()
        return self._home

    def adapters(self) -> Mapping[str, HardwareAdapter]:
        if self._adapters is None:
            from ..hardware_adapters.registry import adapters

            self._adapters = adapters(self.home)
        return self._adapters

    def adapter(self, target: str) -> HardwareAdapter:
        """Raises UnknownNameError."""
        known = self.adapters()
        if target not in known:
            raise UnknownNameError("target", target, known)
        return known[target]

    def adapter_for(self, problem_id: str) -> HardwareAdapter:
        """Raises UnknownProblemError with close matches."""
        target = problem_id.partition("/")[0]
        if target in self.adapters():
            return self.adapters()[target]
        from ..hardware_adapters.registry import adapter_for

        return adapter_for(problem_id, self.home)

    async def evaluate(self, problem_id: str, source: str, **settings: Any) -> Evaluation:
        """As hardware_adapters.evaluator.evaluate, in one of this machine's slots."""
        from ..hardware_adapters.evaluator import evaluate

        adapter = self.adapter_for(problem_id)
        return await evaluate(problem_id, source, home=self.home, adapter=adapter, slot=self.slots, **settings)


async def in_thread(function: Any, *args: Any) -> Any:
    """For short synchronous work that may touch the disk or probe a tool: the event loop stays free."""
    return await anyio.to_thread.run_sync(function, *args)


async def both(first: Callable[[], Awaitable[T]], second: Callable[[], Awaitable[T]]) -> tuple[T, T]:
    """Both results, worked out side by side. Raises what the first that fails raises, and stops the other."""
    results: dict[int, T] = {}
    failures: list[Exception] = []

    async def work(number: int, function: Callable[[], Awaitable[T]]) -> None:
        try:
            results[number] = await function()
        except Exception as error:  # a task group would wrap it in an exception group
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for number, function in enumerate((first, second)):
            tasks.start_soon(work, number, function)
    if failures:
        raise failures[0]
    return results[0], results[1]


@contextmanager
def reported() -> Iterator[None]:
    """Turn what an adapter or menu refuses into a tool error that says whose fault it is and what to do next."""
    try:
        yield
    except (UsageError, UnknownNameError) as error:
        raise ToolError(clip(str(error), MAX_ERROR)) from error
    except EnvironmentLackError as error:
        raise ToolError(
            f"environment: this machine lacks what was asked for, the kernel is not at fault. {error} "
            "(`autocomp-mcp doctor` lists every requirement; list_targets shows what works here.)"
        ) from error
    except EngineFailure as error:
        raise ToolError(
            f"environment: the engine failed, the kernel is not at fault and nothing was recorded against it. {error} "
            "Trying once more is sensible; if it fails again, run `autocomp-mcp doctor`."
        ) from error
    except AdapterError as error:
        raise ToolError(clip(str(error), MAX_ERROR)) from error


@asynccontextmanager
async def heartbeat(ctx: Context, message: str) -> AsyncIterator[None]:
    """Progress notifications while something slow runs, so that a host sees life. Free when it did not ask."""

    async def beat() -> None:
        elapsed = 0.0
        while True:
            await ctx.report_progress(elapsed, None, f"{message} ({elapsed:.0f} s)" if elapsed else message)
            await anyio.sleep(HEARTBEAT_S)
            elapsed += HEARTBEAT_S

    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        try:
            yield
        except Exception as error:  # a task group would wrap it in an exception group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
