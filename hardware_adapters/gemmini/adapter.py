"""The Gemmini target: C kernels, judged by the embedded simulator or by an engine the user has."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import anyio
import anyio.to_thread

from ..base import (
    Compilation,
    EngineFailure,
    EngineStatus,
    EnvironmentLackError,
    Evaluation,
    HardwareAdapter,
    Problem,
    ProblemSummary,
    Profile,
    Rewrite,
    UnknownEngineError,
    UnknownProblemError,
    UsageError,
    check_source,
    kernel_digest,
)
from ..problems import unknown_problem
from ..store import Home
from ..toolchain import host_compiler
from . import gemsim
from .calibration import FILE as CALIBRATION_FILE
from .calibration import calibration
from .engines import Spike, Verilator, WholeMachine
from .firesim import FireSim
from .judge import Judgement, judge, not_compiled
from .problems import EXAMPLES, FAMILY, PATTERN, TARGET, Gemm, describe, summary
from .toolchain import SOURCE_NAME, compile_kernel, compiler_identity, cross_compiler

if TYPE_CHECKING:
    from .inputs import InputSet

ENGINE = "gemsim"
# Raised whenever judging changes, so that remembered evaluations are worked out again.
RULES_VERSION = "1"
T = TypeVar("T")
U = TypeVar("U")


class GemminiAdapter(HardwareAdapter):
    """Gemmini, 16x16 int8. Embedded: `gemsim`; beside it, where the user has them, `spike`, `verilator` and
    `firesim`."""

    target = TARGET
    title = "Gemmini (16x16 int8 systolic array beside a Rocket core)"

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
            trust=calibration().trust,
            default=True,
        )

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

    def families(self) -> Mapping[str, str]:
        return {FAMILY: PATTERN.text}

    def problems(self) -> list[ProblemSummary]:
        return [summary(problem_id) for problem_id in EXAMPLES]

    def problem(self, problem_id: str) -> Problem:
        if not problem_id.startswith(f"{TARGET}/{FAMILY}-"):
            raise unknown_problem(problem_id, self.nearest(problem_id), [PATTERN.text])
        return describe(Gemm.of(problem_id))

    def nearest(self, problem_id: str) -> str | None:
        near = PATTERN.nearest(problem_id)
        with suppress(UnknownProblemError):
            return near and Gemm.of(near).id
        return None

    def baseline(self, problem: Problem) -> str:
        from .emit import emit
        from .schedule import baseline_schedule

        gemm = Gemm.of(problem.id)
        return emit(gemm, baseline_schedule(gemm))

    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        from .rewrites import rewrites

        return rewrites(problem, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        from .rewrites import rewrite

        return rewrite(problem, source, option, variant)

    async def prepare(self, engine: str | None, announce: Callable[[str], None]) -> None:
        if engine in self._machines:
            return  # whoever has them built them
        if engine not in (None, ENGINE):
            raise UnknownEngineError(str(engine), [ENGINE, *self._machines])
        with _disk_is_infrastructure():
            await gemsim.simulator(self.home, lambda: announce("the simulator"))

    async def compile(self, problem: Problem, source: str) -> Compilation:
        check_source(source)
        with _disk_is_infrastructure():
            compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
            return (await compile_kernel(self.home, compiler, source)).compilation

    async def evaluate(
        self, problem: Problem, source: str, *, engine: str | None = None, seed: int = 0, timeout_s: float = 60.0
    ) -> Evaluation:
        with _disk_is_infrastructure():
            if engine in self._machines:
                return await self._on(self._machines[engine], problem, source, seed, timeout_s)
            run = await self._run(problem, source, engine, seed, timeout_s, profile=False, timeline=None)
        return run.evaluation

    async def _on(
        self, machine: WholeMachine, problem: Problem, source: str, seed: int, timeout_s: float
    ) -> Evaluation:
        from .inputs import generator, input_sets
        from .whole_machine import evaluate_on

        check_source(source)
        found = await anyio.to_thread.run_sync(machine.availability)
        if not found.available or found.version is None:
            raise EnvironmentLackError(f"engine {machine.name!r} is not available: {found.reason}")
        gemm, digest = Gemm.of(problem.id), kernel_digest(source)
        rng = generator(problem.digest, digest, seed)
        compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
        outcome = await evaluate_on(
            machine, self.home, compiler, problem, gemm, lambda: input_sets(gemm, rng), source, rng, timeout_s
        )
        return Evaluation(
            problem=problem.id,
            kernel=digest,
            engine=machine.name,
            engine_version=found.version,
            source=machine.source,
            compilation=outcome.compiled.compilation,
            input_sets=tuple(chosen.name for chosen in outcome.sets),
            seed=seed,
            counters=outcome.counters,
            seconds={"compile": outcome.compiled.compilation.seconds, **outcome.seconds},
            log=outcome.log,
            **outcome.judged._asdict(),
        )

    async def profile(
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        timeline: Path | None = None,
        timeout_s: float = 60.0,
    ) -> Profile | Evaluation:
        if engine in self._machines:
            raise UsageError(f"engine {engine!r} does not profile kernels; {ENGINE} does")
        from .debug_info import LineTable
        from .profile import make_profile

        with _disk_is_infrastructure():
            run = await self._run(problem, source, engine, 0, timeout_s, profile=True, timeline=timeline)
        if not run.evaluation.passed or run.raw is None or run.program is None:
            return run.evaluation
        lines = await anyio.to_thread.run_sync(LineTable, run.program, SOURCE_NAME)
        return make_profile(problem, source, run.evaluation, run.raw, lines, str(timeline) if timeline else None)

    async def _run(
        self,
        problem: Problem,
        source: str,
        engine: str | None,
        seed: int,
        timeout_s: float,
        *,
        profile: bool,
        timeline: Path | None,
    ) -> _Run:
        check_source(source)
        if engine not in (None, ENGINE):
            raise UnknownEngineError(str(engine), [ENGINE, *self._machines])
        gemm = Gemm.of(problem.id)
        digest = kernel_digest(source)
        compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
        program = await gemsim.simulator(self.home)
        deadline = time.monotonic() + timeout_s  # the time in which others, or we, build the simulator is no kernel's

        def draw() -> tuple[tuple[InputSet, ...], tuple[gemsim.JobCase, ...]]:
            from .inputs import generator, input_sets  # NumPy loads while the compiler runs

            rng = generator(problem.digest, digest, seed)
            sets = input_sets(gemm, rng)
            return sets, gemsim.job_cases(gemm.tensors, sets, rng)

        (sets, cases), compiled = await _together(draw, compile_kernel(self.home, compiler, source))

        def concluded(judged: Judgement, answer: gemsim.Answer | None = None, **seconds: float) -> Evaluation:
            return Evaluation(
                problem=problem.id,
                kernel=digest,
                engine=ENGINE,
                engine_version=gemsim.engine_version(),
                source="estimated",
                compilation=compiled.compilation,
                input_sets=tuple(chosen.name for chosen in sets),
                seed=seed,
                counters=_counters(answer),
                seconds={"compile": compiled.compilation.seconds, **seconds},
                **judged._asdict(),
            )

        if compiled.program is None:
            return _Run(concluded(not_compiled(compiled)))
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="autocomp-gemsim-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch)
            simulation = gemsim.simulate(
                program,
                compiled.program,
                gemm.tensors,
                cases,
                sets,
                folder=folder,
                limit=instruction_limit(gemm),
                timeout_s=max(0.1, deadline - time.monotonic()),
                profile=profile,
                timeline=timeline is not None,
            )
            try:
                expected, results = await _together(lambda: [gemm.reference(s.inputs) for s in sets], simulation)
            except gemsim.TimedOut:
                stopped = Judgement(
                    "timed_out", f"stopped after {timeout_s:.0f} s of simulating: the kernel is far too slow"
                )
                return _Run(concluded(stopped, simulate=time.monotonic() - started))
            if timeline is not None and results.profile is not None:
                await anyio.to_thread.run_sync(_deliver, folder / "timeline.json", timeline)
        simulated = time.monotonic()
        judged = await anyio.to_thread.run_sync(
            judge, problem, gemm, sets, cases, expected, results, compiled.program, source, SOURCE_NAME
        )
        seconds = {"simulate": simulated - started, "check": time.monotonic() - simulated}
        return _Run(concluded(judged, results.answer, **seconds), results.profile, compiled.program)


@contextmanager
def _disk_is_infrastructure() -> Iterator[None]:
    """A full disk or a folder that vanished is no kernel's fault."""
    try:
        yield
    except OSError as error:
        raise EngineFailure(f"the file system failed: {error}") from error


class _Run(NamedTuple):
    evaluation: Evaluation
    raw: gemsim.RawProfile | None = None
    program: Path | None = None


def instruction_limit(gemm: Gemm) -> int:
    """Instructions a call may take before it counts as an endless loop.

    A scalar kernel without the accelerator needs about 6 per multiplication; more than 16 is no attempt at speed.
    """
    return min(2_000_000_000, max(20_000_000, 16 * gemm.macs))


def _counters(answer: gemsim.Answer | None) -> dict[str, int | None]:
    """Of the timed, cold call."""
    if answer is None or not answer.cases or not answer.cases[0].calls:
        return {}
    call = answer.cases[0].calls[0]
    return {"instret": call.instret, "commands": call.commands, **call.counters}


def _deliver(made: Path, wanted: Path) -> None:
    try:
        wanted.write_bytes(made.read_bytes())
    except OSError as error:
        raise EnvironmentLackError(f"the timeline cannot be written to {wanted}: {error.strerror}") from error


async def _together(work: Callable[[], T], other: Awaitable[U]) -> tuple[T, U]:
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
