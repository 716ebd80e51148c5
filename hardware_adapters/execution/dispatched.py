"""An adapter whose work is done by an executor; what it knows without running anything, it knows itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..base import (
    Compilation,
    Definition,
    EngineStatus,
    Evaluation,
    HardwareAdapter,
    Problem,
    ProblemSummary,
    Profile,
    Recall,
    Rewrite,
    StallCause,
    check_source,
)
from ..store import Home
from .executor import Executor, Job


class Dispatched(HardwareAdapter):
    """Keeps the contract for the adapter `here`; what is compiled, evaluated and profiled goes to the executor."""

    def __init__(self, here: HardwareAdapter, executor: Executor, home: Home) -> None:
        self.target, self.title = here.target, here.title
        self.here = here
        self.executor = executor
        self.home = home

    # ------------------------------------------------------------ elsewhere

    def engines(self) -> list[EngineStatus]:
        return self.executor.engines(self.here)

    def engine(self, name: str | None = None) -> EngineStatus:
        return self.executor.engine(self.here, name)

    def configuration(self, engine: str) -> str:
        return self.executor.configuration(self.here, engine)

    async def prepare(self, engine: str | None, announce: Callable[[str], None]) -> None:
        await self.executor.prepare(self.here, engine, announce)

    async def compile(self, problem: Problem, source: str) -> Compilation:
        check_source(source)
        job = Job(kind="compile", problem=problem, source=source, engine=self._default())
        result = await self.executor.run(self.here, job, self.home)
        assert isinstance(result, Compilation)
        return result

    async def evaluate(
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        seed: int = 0,
        timeout_s: float = 60.0,
        recall: Recall | None = None,
    ) -> Evaluation:
        check_source(source)
        name = engine or self._default()
        job = Job(kind="evaluate", problem=problem, source=source, engine=name, seed=seed, timeout_s=timeout_s)
        result = await self.executor.run(self.here, job, self.home, recall=recall)
        assert isinstance(result, Evaluation)
        return result

    async def evaluate_against(
        self, problem: Problem, source: str, against: str, *, engine: str, seed: int = 0, timeout_s: float = 60.0
    ) -> Evaluation:
        check_source(source)
        job = Job(
            kind="against", problem=problem, source=source, against=against, engine=engine, seed=seed,
            timeout_s=timeout_s,
        )  # fmt: skip
        result = await self.executor.run(self.here, job, self.home)
        assert isinstance(result, Evaluation)
        return result

    async def profile(
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        timeline: Path | None = None,
        timeout_s: float = 60.0,
        detail: bool = False,
    ) -> Profile | Evaluation:
        check_source(source)
        name = engine or self._default()
        job = Job(
            kind="profile", problem=problem, source=source, engine=name, timeout_s=timeout_s,
            timeline=timeline is not None, detail=detail,
        )  # fmt: skip
        result = await self.executor.run(self.here, job, self.home, timeline=timeline)
        assert isinstance(result, Profile | Evaluation)
        return result

    def _default(self) -> str:
        """Which engine that is does not depend on the machine."""
        return self.here.engine(None).name

    # ------------------------------------------------------------ here

    def trust(self, problem_id: str, engine: str) -> str | None:
        return self.here.trust(problem_id, engine)

    def causes(self) -> Mapping[str, StallCause]:
        return self.here.causes()

    def families(self) -> Mapping[str, str]:
        return self.here.families()

    def problems(self) -> list[ProblemSummary]:
        return self.here.problems()

    def suites(self) -> Mapping[str, str]:
        return self.here.suites()

    def suite(self, name: str) -> list[ProblemSummary]:
        return self.here.suite(name)

    def problem(self, problem_id: str) -> Problem:
        return self.here.problem(problem_id)

    def custom(self, definition: Definition) -> Problem:
        return self.here.custom(definition)

    def nearest(self, problem_id: str) -> str | None:
        return self.here.nearest(problem_id)

    def baseline(self, problem: Problem) -> str | None:
        return self.here.baseline(problem)

    def reference_kernel(self, problem: Problem) -> str | None:
        return self.here.reference_kernel(problem)

    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        return self.here.rewrites(problem, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        return self.here.rewrite(problem, source, option, variant)
