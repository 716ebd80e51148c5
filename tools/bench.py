"""The workbench the tools share: adapters, the evaluator, and the slots that keep the machine responsive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from ..agent.answers import ENVIRONMENT
from ..agent.each import beside
from ..agent.errors import AgentError, AgentUsageError
from ..hardware_adapters.base import (
    AdapterError,
    EngineFailure,
    EnvironmentLackError,
    HardwareAdapter,
    OwnProblem,
    Problem,
    UsageError,
)
from ..hardware_adapters.custom.definition import is_own
from ..menus.menu import UnknownNameError
from .results import clip
from .slots import Slots

if TYPE_CHECKING:
    from pathlib import Path

    from ..hardware_adapters.custom.intake import Intake
    from ..hardware_adapters.custom.proof import Proof
    from ..hardware_adapters.execution import Executor
    from ..hardware_adapters.store import Home


HEARTBEAT_S = 4.0
PROOF_PATIENCE_S = 40.0  # hosts give a call up after a minute
MAX_ERROR = 2000  # characters; refusals quote what was passed, however long it was


class Bench:
    """What a tool needs to do its work. One per server; tests give it adapters of their own."""

    def __init__(
        self,
        home: Home | None = None,
        adapters: Mapping[str, HardwareAdapter] | None = None,
        roots: Sequence[Path] | None = None,
    ) -> None:
        """`roots`: folders that own problems are read from; by default those that AUTOCOMP_PROBLEMS names."""
        self._home = home
        self._adapters = adapters
        self._roots = roots
        self._executor: Executor | None = None
        self.slots = Slots(lambda: self.executor.at_once())

    @property
    def executor(self) -> Executor:
        """Where the adapters' work is done. Raises UsageError for one that does not exist."""
        if self._executor is None:
            from ..hardware_adapters.execution import chosen_executor

            self._executor = chosen_executor()
        return self._executor

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

    def intake(self) -> Intake:
        """Of the users' own problems, below the folders that whoever runs this server allows."""
        from ..hardware_adapters.custom.folder import roots
        from ..hardware_adapters.custom.intake import Intake

        allowed = roots() if self._roots is None else self._roots
        return Intake(self.home, self.adapters(), allowed, within_s=PROOF_PATIENCE_S)

    async def problem(self, named: str) -> tuple[HardwareAdapter, Problem]:
        """By its id; below an allowed folder also by its own folder. Such a problem is taken in first, which takes
        seconds. Raises UsageError, EnvironmentLackError, EngineFailure."""
        from ..hardware_adapters.custom.folder import is_path

        if not is_path(named):
            adapter = self.adapter_for(named)
            if not is_own(named):
                return adapter, adapter.problem(named)
            with suppress(UsageError):  # it is here already: no slot to wait for
                return adapter, adapter.problem(named)
        async with self.slots:
            named = await self.intake().problem_id_of(named)
        adapter = self.adapter_for(named)
        return adapter, adapter.problem(named)

    async def define(self, own: OwnProblem) -> tuple[HardwareAdapter, Problem, Proof | None]:
        """Take a problem in that came with a call; the proof is None where it was here already. Raises as `problem`."""
        from ..hardware_adapters.custom.folder import read_inline

        intake = self.intake()
        definition = await in_thread(read_inline, own, intake.roots)
        async with self.slots:
            problem_id, proof = await intake.define(definition)
        adapter = intake.adapter(definition)
        return adapter, adapter.problem(problem_id), proof

    def adapter_for(self, problem_id: str) -> HardwareAdapter:
        """Raises UnknownProblemError with close matches."""
        target = problem_id.partition("/")[0]
        if target in self.adapters():
            return self.adapters()[target]
        from ..hardware_adapters.registry import adapter_for

        return adapter_for(problem_id, self.home)


async def in_thread(function: Any, *args: Any) -> Any:
    """For short synchronous work that may touch the disk or probe a tool: the event loop stays free."""
    return await anyio.to_thread.run_sync(function, *args)


@contextmanager
def reported() -> Iterator[None]:
    """Turn what an adapter, a menu or the journal refuses into a tool error that says whose fault it is and what to do
    next. Of all other exceptions the SDK tells callers nothing."""
    try:
        yield
    except (UsageError, UnknownNameError, AgentUsageError) as error:
        raise ToolError(clip(str(error), MAX_ERROR)) from error
    except AgentError as error:
        raise ToolError(clip(f"{ENVIRONMENT} {error}", MAX_ERROR)) from error
    except EnvironmentLackError as error:
        raise ToolError(
            f"{ENVIRONMENT} this machine lacks what was asked for, the kernel is not at fault. {error} "
            "(`autocomp-mcp doctor` lists every requirement; list_targets shows what works here.)"
        ) from error
    except EngineFailure as error:
        raise ToolError(
            f"{ENVIRONMENT} the engine failed, the kernel is not at fault and nothing was recorded against it. {error} "
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

    async with beside() as tasks:
        tasks.start_soon(beat)
        yield
