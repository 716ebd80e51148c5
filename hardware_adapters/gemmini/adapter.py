"""The Gemmini target: C kernels, judged by the embedded simulator or by an engine the user has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from ..base import (
    Compilation,
    EngineStatus,
    EnvironmentLackError,
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
    kernel_digest,
)
from ..custom import shelf
from ..custom.definition import Definition, is_own
from ..simulating import disk_is_infrastructure, generator
from ..store import Home
from ..toolchain import host_compiler
from . import gemsim
from .calibration import FILE as CALIBRATION_FILE
from .calibration import calibration
from .causes import CAUSES
from .custom import Custom, sets_of
from .embedded import ENGINE, Run, evaluate_on_gemsim
from .engines import Spike, Verilator, WholeMachine
from .families import FAMILIES, nearest, operator_of
from .firesim import FireSim
from .operators import (
    ARRAY_EDGE,
    DEFAULT_CONFIGURATION,
    TARGET,
    Operator,
    defines,
    describe,
    output_tensors,
    summary,
)
from .suites import SUITES
from .toolchain import SOURCE_NAME, compile_kernel, compiler_identity, cross_compiler

# Raised whenever judging changes, so that remembered evaluations are worked out again.
RULES_VERSION = "1"
OWN_SHOWN = 20  # of the user's own problems, the newest


class GemminiAdapter(HardwareAdapter):
    """Gemmini, 16x16 int8 or, for TinyMPC, 4x4 float32. Embedded: `gemsim`; beside it, for int8 and where the user has
    them, `spike`, `verilator` and `firesim`."""

    target = TARGET
    title = "Gemmini (systolic array beside a Rocket core: 16x16 int8; TinyMPC on 4x4 float32)"

    def __init__(
        self, home: Home | None = None, *, path: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """`path` replaces PATH in the search for a RISC-V compiler, `environment` tells where other engines are."""
        self.home = home or Home()
        self._path = path
        self._machines = {kind.name: kind(environment) for kind in (Spike, Verilator, FireSim)}

    def engines(self) -> list[EngineStatus]:
        return [self._embedded(), *(machine.status() for machine in self._machines.values())]

    def engine(self, name: str | None = None) -> EngineStatus:
        # The others are not looked for: that starts programs.
        if name in (None, ENGINE):
            return self._embedded()
        if name not in self._machines:
            raise UnknownEngineError(str(name), [ENGINE, *self._machines])
        return self._machines[name].status()

    def _embedded(self) -> EngineStatus:
        try:
            compiler = cross_compiler(self._path)
            builder = host_compiler()
            available, reason = True, f"built in; kernels by {compiler.title}, simulator by {builder.title}"
        except EnvironmentLackError as error:
            available, reason = False, str(error)
        return EngineStatus(
            name=ENGINE,
            kind="simulator",
            available=available,
            reason=reason,
            version=gemsim.engine_version(),
            source="estimated",
            trust=" ".join(calibration(name).trust for name in ARRAY_EDGE),
            default=True,
        )

    def trust(self, problem_id: str, engine: str) -> str | None:
        known = super().trust(problem_id, engine)
        return calibration(self._operator(problem_id).configuration).trust if engine == ENGINE else known

    def configuration(self, engine: str) -> str:
        try:
            compiler = compiler_identity(cross_compiler(self._path))
        except EnvironmentLackError:
            compiler = "none"
        if engine in self._machines:
            from .harness import identity

            machine = self._machines[engine]
            return f"{compiler} {identity()} {RULES_VERSION} {machine.configuration} {machine.unisolated_is_fine}"
        return f"{compiler} {gemsim.source_digest([CALIBRATION_FILE])} {RULES_VERSION}"

    def causes(self) -> Mapping[str, StallCause]:
        return CAUSES

    def families(self) -> Mapping[str, str]:
        return {name: family.text for name, family in FAMILIES.items()}

    def problems(self) -> list[ProblemSummary]:
        own = [summary(Custom(kept.definition)) for kept in shelf.newest(self.home, TARGET, OWN_SHOWN)]
        return [*own, *self.suite("examples")]

    def suites(self) -> Mapping[str, str]:
        return {name: suite.title for name, suite in SUITES.items()}

    def suite(self, name: str) -> list[ProblemSummary]:
        if name not in SUITES:
            return super().suite(name)
        return [summary(operator_of(problem_id)) for problem_id in SUITES[name].problems]

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
        return Custom(kept.definition, kept.level, kept.instructions)

    def nearest(self, problem_id: str) -> str | None:
        return nearest(problem_id)

    def baseline(self, problem: Problem) -> str:
        return self._operator(problem.id).baseline()

    def reference_kernel(self, problem: Problem) -> str | None:
        return self._operator(problem.id).hardware_loop()

    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        from .rewrites import REWRITES

        return REWRITES.rewrites(problem.id, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        from .rewrites import REWRITES

        return REWRITES.rewrite(problem.id, source, option, variant)

    async def prepare(self, engine: str | None, announce: Callable[[str], None]) -> None:
        if engine in self._machines:
            return  # whoever has them built them
        if engine not in (None, ENGINE):
            raise UnknownEngineError(str(engine), [ENGINE, *self._machines])
        with disk_is_infrastructure():
            await gemsim.simulator(self.home, lambda: announce("the simulator"))

    async def compile(self, problem: Problem, source: str) -> Compilation:
        check_source(source)
        with disk_is_infrastructure():
            compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
            return (await compile_kernel(self.home, compiler, source, defines(self._operator(problem.id)))).compilation

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
        with disk_is_infrastructure():
            if engine in self._machines:
                return await self._on(self._machines[engine], problem, source, seed, timeout_s, recall)
            run = await self._embedded_run(problem, source, engine, seed, timeout_s, recall=recall)
        return run.evaluation

    async def _on(
        self,
        machine: WholeMachine,
        problem: Problem,
        source: str,
        seed: int,
        timeout_s: float,
        recall: Recall | None,
    ) -> Evaluation:
        from .whole_machine import evaluate_on

        check_source(source)
        found = await anyio.to_thread.run_sync(machine.availability)
        if not found.available or found.version is None:
            raise EnvironmentLackError(f"engine {machine.name!r} is not available: {found.reason}")
        operator, digest = self._operator(problem.id), kernel_digest(source)
        if operator.configuration != DEFAULT_CONFIGURATION:
            raise UsageError(
                f"{problem.id} is for {operator.configuration}, engine {machine.name!r} for {DEFAULT_CONFIGURATION} "
                f"only; {ENGINE} has both"
            )
        if len(output_tensors(operator)) > 1:
            raise UsageError(f"{problem.id} has several outputs, engine {machine.name!r} reads one; {ENGINE} reads all")
        rng = generator(problem.digest, digest, seed)
        compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
        outcome = await evaluate_on(
            machine, self.home, compiler, problem, operator, lambda: sets_of(operator, rng), source, rng, timeout_s,
            recall,
        )  # fmt: skip
        if isinstance(outcome, Evaluation):
            return outcome
        return Evaluation(
            problem=problem.id,
            kernel=digest,
            engine=machine.name,
            engine_version=found.version,
            source=machine.source,
            compilation=outcome.compiled.compilation,
            input_sets=tuple(chosen.name for chosen in outcome.sets),
            seed=seed,
            seconds={"compile": outcome.compiled.compilation.seconds, **outcome.seconds},
            log=outcome.log,
            **outcome.judged._replace(counters=outcome.counters)._asdict(),
        )

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
        if engine in self._machines:
            raise UsageError(f"engine {engine!r} does not profile kernels; {ENGINE} does")
        from .debug_info import LineTable
        from .profile import make_profile

        with disk_is_infrastructure():
            run = await self._embedded_run(problem, source, engine, 0, timeout_s, profile=True, timeline=timeline)
        if not run.evaluation.passed or run.raw is None or run.program is None:
            return run.evaluation
        lines = await anyio.to_thread.run_sync(LineTable, run.program, SOURCE_NAME)
        file = str(timeline) if timeline else None
        return make_profile(problem, source, run.evaluation, run.raw, lines, file, detail=detail)

    async def _embedded_run(
        self,
        problem: Problem,
        source: str,
        engine: str | None,
        seed: int,
        timeout_s: float,
        *,
        profile: bool = False,
        timeline: Path | None = None,
        recall: Recall | None = None,
    ) -> Run:
        check_source(source)
        if engine not in (None, ENGINE):
            raise UnknownEngineError(str(engine), [ENGINE, *self._machines])
        return await evaluate_on_gemsim(
            self.home, self._path, problem, self._operator(problem.id), source, seed, timeout_s,
            profile=profile, timeline=timeline, recall=recall,
        )  # fmt: skip
