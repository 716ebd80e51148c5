"""Where evaluations run: the contract, and the job that is handed over. Nothing here knows a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from ..base import (
    Compilation,
    EngineStatus,
    Evaluation,
    HardwareAdapter,
    Problem,
    Profile,
    Recall,
    Record,
    SandboxStatus,
)
from ..store import Home

Result = Evaluation | Profile | Compilation


class Job(Record):
    """One piece of work about one kernel: all that another machine with this package has to know."""

    kind: Literal["evaluate", "against", "profile", "compile"]
    problem: Problem
    source: str
    engine: str = Field(description="A name always: what a default is, is settled before")
    seed: int = 0
    timeout_s: float = 60.0
    against: str | None = Field(default=None, description="The other kernel, for `against`")
    detail: bool = Field(default=False, description="Whether the profile is wanted with all that its engine knows")
    timeline: bool = Field(default=False, description="Whether the profile's timeline is wanted")

    async def on(
        self, adapter: HardwareAdapter, *, recall: Recall | None = None, timeline: Path | None = None
    ) -> Result:
        """Do it here, with this adapter. Raises what the adapter's method raises."""
        if self.kind == "compile":
            return await adapter.compile(self.problem, self.source)
        if self.kind == "profile":
            return await adapter.profile(
                self.problem, self.source, engine=self.engine, timeline=timeline, timeout_s=self.timeout_s,
                detail=self.detail,
            )  # fmt: skip
        if self.kind == "against":
            return await adapter.evaluate_against(
                self.problem, self.source, self.against or "",
                engine=self.engine, seed=self.seed, timeout_s=self.timeout_s,
            )  # fmt: skip
        return await adapter.evaluate(
            self.problem, self.source, engine=self.engine, seed=self.seed, timeout_s=self.timeout_s, recall=recall
        )


class Executor(ABC):
    """Runs jobs, on this machine or elsewhere. One per process and kind; safe to use from several threads.

    What it says of engines holds where it runs them, which need not be here: an engine may be available there only,
    and the cache is keyed by the versions there.
    """

    name: str

    @abstractmethod
    def at_once(self) -> int:
        """How many jobs are best given to it at once; it may change. Returns at once, and is asked often."""

    @abstractmethod
    async def run(
        self,
        adapter: HardwareAdapter,
        job: Job,
        home: Home,
        *,
        recall: Recall | None = None,
        timeline: Path | None = None,
    ) -> Result:
        """Wait for room, and do the job. `home` is the adapter's: artefacts are there afterwards, wherever they were
        made. `recall` as in HardwareAdapter.evaluate; `timeline`: a file to be written here.

        Cancelled, it leaves no process behind, here or elsewhere. Raises what the job raises; a failure of the
        infrastructure, which has been tried again where that could help, is an EngineFailure.
        """

    def engines(self, adapter: HardwareAdapter) -> list[EngineStatus]:
        """As the adapter's, where the jobs run. Raises nothing: what cannot be reached is not available."""
        return adapter.engines()

    def engine(self, adapter: HardwareAdapter, name: str | None) -> EngineStatus:
        """As the adapter's. Raises UnknownEngineError, EnvironmentLackError, EngineFailure."""
        return adapter.engine(name)

    def configuration(self, adapter: HardwareAdapter, engine: str) -> str:
        """As the adapter's. Raises as `engine`."""
        return adapter.configuration(engine)

    async def prepare(self, adapter: HardwareAdapter, engine: str | None, announce: Callable[[str], None]) -> None:
        """As the adapter's."""
        await adapter.prepare(engine, announce)

    async def sandbox(self) -> SandboxStatus:
        """How programs are confined where the jobs run. Raises EnvironmentLackError, EngineFailure."""
        return await confinement()


async def confinement() -> SandboxStatus:
    """How this machine confines programs. Raises EnvironmentLackError, EngineFailure."""
    from ..sandbox import sandbox

    found = await sandbox()
    return SandboxStatus(active=found.active, missing=found.missing)
