"""The Gemmini target: C kernels, judged by the embedded simulator."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
    check_source,
    kernel_digest,
)
from ..store import Home
from ..toolchain import host_compiler
from . import gemsim
from .calibration import FILE as CALIBRATION_FILE
from .calibration import calibration
from .families import FAMILIES, nearest, operator_of
from .judge import Judgement, judge
from .operators import ARRAY_EDGE, DEFINES, TARGET, Operator, describe, summary
from .suites import SUITES
from .together import together
from .toolchain import SOURCE_NAME, Compiled, compile_kernel, compiler_identity, cross_compiler

if TYPE_CHECKING:
    from .inputs import InputSet

ENGINE = "gemsim"
# Raised whenever judging changes, so that remembered evaluations are worked out again.
RULES_VERSION = "1"


class GemminiAdapter(HardwareAdapter):
    """Gemmini, 16x16 int8 or, for TinyMPC, 4x4 float32; one engine, `gemsim`."""

    target = TARGET
    title = "Gemmini (systolic array beside a Rocket core: 16x16 int8; TinyMPC on 4x4 float32)"

    def __init__(self, home: Home | None = None, *, path: str | None = None) -> None:
        """`path` replaces PATH in the search for a RISC-V compiler."""
        self.home = home or Home()
        self._path = path

    def engines(self) -> list[EngineStatus]:
        try:
            compiler = cross_compiler(self._path)
            builder = host_compiler()
            available, reason = True, f"built in; kernels by {compiler.title}, simulator by {builder.title}"
        except EnvironmentLackError as error:
            available, reason = False, str(error)
        status = EngineStatus(
            name=ENGINE,
            kind="simulator",
            available=available,
            reason=reason,
            version=gemsim.engine_version(),
            source="estimated",
            trust=" ".join(calibration(name).trust for name in ARRAY_EDGE),
            default=True,
        )
        return [status]

    def trust(self, problem_id: str, engine: str) -> str | None:
        known = super().trust(problem_id, engine)
        return calibration(operator_of(problem_id).configuration).trust if engine == ENGINE else known

    def configuration(self, engine: str) -> str:
        try:
            compiler = compiler_identity(cross_compiler(self._path))
        except EnvironmentLackError:
            compiler = "none"
        return f"{compiler} {gemsim.source_digest([CALIBRATION_FILE])} {RULES_VERSION}"

    def families(self) -> Mapping[str, str]:
        return {name: family.text for name, family in FAMILIES.items()}

    def problems(self) -> list[ProblemSummary]:
        return self.suite("examples")

    def suites(self) -> Mapping[str, str]:
        return {name: suite.title for name, suite in SUITES.items()}

    def suite(self, name: str) -> list[ProblemSummary]:
        if name not in SUITES:
            return super().suite(name)
        return [summary(operator_of(problem_id)) for problem_id in SUITES[name].problems]

    def problem(self, problem_id: str) -> Problem:
        return describe(operator_of(problem_id))

    def nearest(self, problem_id: str) -> str | None:
        return nearest(problem_id)

    def baseline(self, problem: Problem) -> str:
        return operator_of(problem.id).baseline()

    def reference_kernel(self, problem: Problem) -> str | None:
        return operator_of(problem.id).hardware_loop()

    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        from .rewrites import rewrites

        return rewrites(problem, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        from .rewrites import rewrite

        return rewrite(problem, source, option, variant)

    async def prepare(self, engine: str | None, announce: Callable[[str], None]) -> None:
        if engine not in (None, ENGINE):
            raise UnknownEngineError(str(engine), [ENGINE])
        with _disk_is_infrastructure():
            await gemsim.simulator(self.home, lambda: announce("the simulator"))

    async def compile(self, problem: Problem, source: str) -> Compilation:
        check_source(source)
        with _disk_is_infrastructure():
            compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
            return (await compile_kernel(self.home, compiler, source, _defines(operator_of(problem.id)))).compilation

    async def evaluate(
        self, problem: Problem, source: str, *, engine: str | None = None, seed: int = 0, timeout_s: float = 60.0
    ) -> Evaluation:
        with _disk_is_infrastructure():
            run = await self._run(problem, source, engine, seed, timeout_s, profile=False, timeline=None)
        return run.evaluation

    async def profile(
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        timeline: Path | None = None,
        timeout_s: float = 60.0,
    ) -> Profile | Evaluation:
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
            raise UnknownEngineError(str(engine), [ENGINE])
        operator = operator_of(problem.id)
        digest = kernel_digest(source)
        compiler = await anyio.to_thread.run_sync(cross_compiler, self._path)
        program = await gemsim.simulator(self.home)
        deadline = time.monotonic() + timeout_s  # the time in which others, or we, build the simulator is no kernel's

        def draw() -> tuple[tuple[InputSet, ...], tuple[gemsim.JobCase, ...]]:
            from .inputs import generator, input_sets  # NumPy loads while the compiler runs

            rng = generator(problem.digest, digest, seed)
            sets = input_sets(operator, rng)
            return sets, gemsim.job_cases(operator.tensors, sets, rng)

        (sets, cases), compiled = await together(draw, compile_kernel(self.home, compiler, source, _defines(operator)))

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
            return _Run(concluded(_not_compiled(compiled)))
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="autocomp-gemsim-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch)
            simulation = gemsim.simulate(
                program,
                compiled.program,
                operator.tensors,
                cases,
                sets,
                folder=folder,
                limit=instruction_limit(operator),
                timeout_s=max(0.1, deadline - time.monotonic()),
                profile=profile,
                timeline=timeline is not None,
                configuration=operator.configuration,
            )
            try:
                expected, results = await together(lambda: [operator.expected(s.inputs) for s in sets], simulation)
            except gemsim.TimedOut:
                stopped = Judgement(
                    "timed_out", f"stopped after {timeout_s:.0f} s of simulating: the kernel is far too slow"
                )
                return _Run(concluded(stopped, simulate=time.monotonic() - started))
            if timeline is not None and results.profile is not None:
                await anyio.to_thread.run_sync(_deliver, folder / "timeline.json", timeline)
        simulated = time.monotonic()
        judged = await anyio.to_thread.run_sync(
            judge, problem, operator, sets, cases, expected, results, compiled.program, source, SOURCE_NAME
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


def instruction_limit(operator: Operator) -> int:
    """Instructions a call may take before it counts as an endless loop.

    A scalar kernel without the accelerator needs about 6 per multiplication; more than 16 is no attempt at speed.
    """
    return min(2_000_000_000, max(20_000_000, 16 * operator.macs))


def _defines(operator: Operator) -> tuple[str, ...]:
    return DEFINES.get(operator.configuration, ())


def _not_compiled(compiled: Compiled) -> Judgement:
    if compiled.refused:
        return Judgement("rejected", compiled.refused)
    errors = [d for d in compiled.compilation.diagnostics if d.severity == "error"]
    first = f": line {errors[0].line}: {errors[0].message}" if errors and errors[0].line else ""
    if errors and not first:
        first = f": {errors[0].message}"
    return Judgement("compile_error", f"the kernel does not compile ({len(errors)} errors){first}")


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
