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
    UsageError,
    check_source,
)
from ..custom import shelf
from ..custom.definition import Definition, is_own
from ..simulating import disk_is_infrastructure
from ..store import Home
from .custom import Custom
from .embedded import Run, engine_version, evaluate_on_nkisim
from .families import EXAMPLES, FAMILIES, SUITES, nearest, operator_of
from .judge import TRUST
from .machines import DEFAULT, ENGINES, machines
from .neuron.engines import Neuron, NeuronEngine, NkiSimulate, profile_on
from .operators import TARGET, Operator, describe, summary
from .profile import CAUSES, make_profile
from .screen import screen

OWN_SHOWN = 20  # problems of the user's own that a list begins with
PATIENCE_S = 300.0  # the largest published products take minutes


class TrainiumAdapter(HardwareAdapter):
    """One NeuronCore. `nkisim` is a Trainium2 core, `nkisim-trn1` and `nkisim-trn3` those before and after it; beside
    them, where the user has AWS's software, `neuron` (the device) and `nki-simulate`."""

    target = TARGET
    title = "AWS Trainium (NKI 2)"

    def __init__(self, home: Home | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        """`environment` tells where AWS's software is."""
        self.home = home or Home()
        self._others = {kind.name: kind(self.home, environment) for kind in (Neuron, NkiSimulate)}

    def engines(self) -> list[EngineStatus]:
        return [*(self._status(name) for name in ENGINES), *(other.status() for other in self._others.values())]

    def engine(self, name: str | None = None) -> EngineStatus:
        # The others are not looked for: that starts programs.
        chosen = self._default() if name is None else name
        if chosen in ENGINES:
            return self._status(chosen)
        return self._other(chosen).status()

    @staticmethod
    def _default() -> str:
        return next(name for name, machine in ENGINES.items() if machine == DEFAULT)

    def _other(self, name: str) -> NeuronEngine:
        if name not in self._others:
            raise UnknownEngineError(name, [*ENGINES, *self._others])
        return self._others[name]

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
        if engine in self._others:
            return self._others[engine].trust
        return TRUST if engine in ENGINES else None

    def configuration(self, engine: str) -> str:
        if engine in self._others:
            return self._others[engine].configuration
        return ENGINES[engine]

    def causes(self) -> Mapping[str, StallCause]:
        return CAUSES

    def families(self) -> Mapping[str, str]:
        return {name: family.text for name, family in FAMILIES.items()}

    def problems(self) -> list[ProblemSummary]:
        own = [summary(Custom(kept.definition)) for kept in shelf.newest(self.home, TARGET, OWN_SHOWN)]
        return [*own, *self.suite(EXAMPLES)]

    def suites(self) -> Mapping[str, str]:
        return {name: title for name, (title, _) in SUITES.items()}

    def suite(self, name: str) -> list[ProblemSummary]:
        if name not in SUITES:
            return super().suite(name)
        return [summary(operator_of(f"{TARGET}/{size}")) for size in SUITES[name][1]]

    def problem(self, problem_id: str) -> Problem:
        if is_own(problem_id):
            shelf.proven(self.home, problem_id)
        return describe(self._operator(problem_id))

    def custom(self, definition: Definition) -> Problem:
        operator = Custom(definition)
        operator.check()
        return describe(operator)

    def _operator(self, problem_id: str) -> Operator:
        """Of a family, or the user's own, proven or not yet. Raises UnknownProblemError."""
        if not is_own(problem_id):
            return operator_of(problem_id)
        kept = shelf.find(self.home, problem_id)
        return Custom(kept.definition, kept.level)

    def nearest(self, problem_id: str) -> str | None:
        return nearest(problem_id)

    def baseline(self, problem: Problem) -> str | None:
        return self._operator(problem.id).baseline()

    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        from .tuner.rewrites import REWRITES

        return REWRITES.rewrites(problem.id, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        from .tuner.rewrites import REWRITES

        return REWRITES.rewrite(problem.id, source, option, variant)

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
        if engine in self._others:
            check_source(source)
            with disk_is_infrastructure():
                operator = self._operator(problem.id)
                return (
                    await self._others[engine].evaluate(problem, operator, source, seed, timeout_s, recall)
                ).evaluation
        return (await self._run(problem, source, engine, seed, timeout_s, recall=recall)).evaluation

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
        if engine in self._others:
            check_source(source)
            if timeline is not None:
                raise UsageError(f"engine {engine!r} writes no timeline here; the profiler's own viewer shows it")
            with disk_is_infrastructure():
                return await profile_on(self._others[engine], problem, self._operator(problem.id), source, timeout_s)
        run = await self._run(problem, source, engine, 0, timeout_s, timeline=timeline)
        if not run.evaluation.passed or run.schedule is None:
            return run.evaluation
        file = str(timeline) if timeline else None
        return make_profile(problem, source, run.evaluation, run.schedule, file, detail=detail)

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
        chosen = self._default() if engine is None else engine
        if chosen not in ENGINES:
            raise UnknownEngineError(chosen, [*ENGINES, *self._others])
        with disk_is_infrastructure():
            operator = self._operator(problem.id)
            return await evaluate_on_nkisim(
                problem, operator, source, chosen, seed, timeout_s, timeline=timeline, recall=recall
            )
