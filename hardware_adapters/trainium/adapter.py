"""The Trainium target: NKI kernels, judged and timed by the embedded simulator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread

from ..base import (
    Compilation,
    EngineStatus,
    Evaluation,
    HardwareAdapter,
    Problem,
    ProblemSummary,
    Profile,
    Recall,
    Rewrite,
    StallCause,
    UnknownEngineError,
    check_source,
)
from ..simulating import disk_is_infrastructure
from ..store import Home
from .embedded import Run, engine_version, evaluate_on_nkisim
from .families import EXAMPLES, FAMILIES, SUITES, nearest, operator_of
from .judge import TRUST
from .machines import DEFAULT, ENGINES, machines
from .operators import TARGET, describe, summary
from .profile import CAUSES, make_profile
from .screen import screen

PATIENCE_S = 300.0  # the largest published products take minutes
# Raised whenever judging changes, so that remembered evaluations are worked out again.
RULES_VERSION = "1"


class TrainiumAdapter(HardwareAdapter):
    """One NeuronCore. `nkisim` is a Trainium2 core, `nkisim-trn1` one of the first generation."""

    target = TARGET
    title = "AWS Trainium (NKI 2)"

    def __init__(self, home: Home | None = None) -> None:
        self.home = home or Home()

    def engines(self) -> list[EngineStatus]:
        return [self._status(name) for name in ENGINES]

    def _status(self, name: str) -> EngineStatus:
        machine = ENGINES[name]
        return EngineStatus(
            name=name,
            kind="simulator",
            available=True,
            reason=f"built in; {machines()[machine].title}",
            version=engine_version(),
            source="estimated",
            trust=TRUST if machine == DEFAULT else "As nkisim.",
            default=machine == DEFAULT,
            patience_s=PATIENCE_S,
        )

    def trust(self, problem_id: str, engine: str) -> str | None:
        return TRUST if engine in ENGINES else None

    def configuration(self, engine: str) -> str:
        return f"{ENGINES[engine]} {RULES_VERSION}"

    def causes(self) -> Mapping[str, StallCause]:
        return CAUSES

    def families(self) -> Mapping[str, str]:
        return {name: family.pattern.text for name, family in FAMILIES.items()}

    def problems(self) -> list[ProblemSummary]:
        return self.suite(EXAMPLES)

    def suites(self) -> Mapping[str, str]:
        return {name: title for name, (title, _) in SUITES.items()}

    def suite(self, name: str) -> list[ProblemSummary]:
        if name not in SUITES:
            return super().suite(name)
        return [summary(operator_of(f"{TARGET}/{size}")) for size in SUITES[name][1]]

    def problem(self, problem_id: str) -> Problem:
        return describe(operator_of(problem_id))

    def nearest(self, problem_id: str) -> str | None:
        return nearest(problem_id)

    def baseline(self, problem: Problem) -> str:
        return operator_of(problem.id).baseline()

    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        from .tuner.rewrites import rewrites

        return rewrites(problem.id, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        from .tuner.rewrites import rewrite

        return rewrite(problem.id, source, option, variant)

    async def compile(self, problem: Problem, source: str) -> Compilation:
        check_source(source)
        return (await anyio.to_thread.run_sync(screen, source)).compilation

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
        return (await self._run(problem, source, engine, seed, timeout_s, recall=recall)).evaluation

    async def profile(
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        timeline: Path | None = None,
        timeout_s: float = 60.0,
    ) -> Profile | Evaluation:
        run = await self._run(problem, source, engine, 0, timeout_s, timeline=timeline)
        if not run.evaluation.passed or run.schedule is None:
            return run.evaluation
        return make_profile(problem, source, run.evaluation, run.schedule, str(timeline) if timeline else None)

    async def _run(
        self,
        problem: Problem,
        source: str,
        engine: str | None,
        seed: int,
        timeout_s: float,
        *,
        timeline: Path | None = None,
        recall: Recall | None = None,
    ) -> Run:
        check_source(source)
        chosen = next(name for name, machine in ENGINES.items() if machine == DEFAULT) if engine is None else engine
        if chosen not in ENGINES:
            raise UnknownEngineError(chosen, list(ENGINES))
        with disk_is_infrastructure():
            return await evaluate_on_nkisim(problem, source, chosen, seed, timeout_s, timeline=timeline, recall=recall)
