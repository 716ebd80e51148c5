"""The NVIDIA target: CUDA kernels, checked and counted on the CPU, run and profiled where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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
    Span,
    StallCause,
    UnknownEngineError,
    UsageError,
    check_source,
)
from ..simulating import disk_is_infrastructure
from ..store import Home
from .cuda import engines as native
from .cuda.evaluation import Run as NativeRun
from .cuda.evaluation import evaluate_on_cuda
from .embedded import ENGINE, Run, compile_kernel, engine_version, evaluate_on_cpu
from .emulation import host_compiler_title, prepare
from .families import EXAMPLES, FAMILIES, SUITES, nearest, operator_of
from .forms import cuda_only, is_triton, triton_version
from .judge import TRUST
from .machines import machine
from .nvcc import find_nvcc, only
from .operators import TARGET, describe, summary
from .over_time import launches, write_timeline
from .profile import CAUSES, make_profile
from .triton_evaluation import compile_triton, evaluate_triton
from .tuner.rewrites import REWRITES

PATIENCE_S = 120.0
# Raised whenever judging changes, so that remembered evaluations are worked out again.
RULES_VERSION = "2"


def _with_timeline(found: Profile, spans: Sequence[Span], path: Path | None) -> Profile:
    if path is None:
        return found
    kind = "estimate" if found.source == "estimated" else "each kernel alone under Nsight Compute, gaps not measured"
    write_timeline(spans, path, f"{found.problem} on {found.engine}: {kind}")
    return found.model_copy(update={"timeline": str(path)})


class NvidiaAdapter(HardwareAdapter):
    """CUDA kernels, and Triton's on `cpu`. `cpu` emulates them, with nvcc's figures where the machine has nvcc, and
    estimates latencies; `cuda` measures on this machine's GPU; `cuda-sanitizer` looks for memory errors and races."""

    target = TARGET
    title = "NVIDIA GPU (CUDA)"

    def __init__(self, home: Home | None = None, *, path: str | None = None) -> None:
        """`path` replaces PATH in the search for nvcc and a GPU."""
        self.home = home or Home()
        self._path = path

    def engines(self) -> list[EngineStatus]:
        return [self._embedded(), *native.statuses(self._path)]

    def engine(self, name: str | None = None) -> EngineStatus:
        # The others are not looked for: that starts programs.
        return self._embedded() if name in (None, ENGINE) else super().engine(name)

    def _embedded(self) -> EngineStatus:
        available, version = True, None
        try:
            device = machine()
            compiler = host_compiler_title()
            version = engine_version()
            nvcc = find_nvcc(only(self._path))
            checked = f"{nvcc.title} for {device.architecture}" if nvcc else "no nvcc, so without register counts"
            triton = f"; Triton {found}" if (found := triton_version()) else ""  # else `doctor` says how to get it
            reason = f"built in; {device.title}, {checked}, emulation by {compiler}{triton}"
        except EnvironmentLackError as error:
            available, reason = False, str(error)
        return EngineStatus(
            name=ENGINE,
            kind="simulator",
            available=available,
            reason=reason,
            version=version,
            source="estimated",
            trust=TRUST,
            default=True,
            patience_s=PATIENCE_S,
        )

    def trust(self, problem_id: str, engine: str) -> str | None:
        return TRUST if engine == ENGINE else native.TRUST.get(engine)

    def configuration(self, engine: str) -> str:
        if engine in native.TRUST:
            return native.configuration(self._path)
        try:
            nvcc = find_nvcc(only(self._path))
            compilers = f"{nvcc.title if nvcc else 'none'} {triton_version() or 'none'}"
            return f"{machine().model_dump_json()} {host_compiler_title()} {compilers} {RULES_VERSION}"
        except EnvironmentLackError as error:
            return str(error)

    def causes(self) -> Mapping[str, StallCause]:
        return CAUSES

    def families(self) -> Mapping[str, str]:
        return {name: family.text for name, family in FAMILIES.items()}

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
        return REWRITES.rewrites(problem.id, source, option)

    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        return REWRITES.rewrite(problem.id, source, option, variant)

    async def prepare(self, engine: str | None, announce: Callable[[str], None]) -> None:
        if engine in native.TRUST:
            return  # builds its runner when it has a kernel
        self._check(engine)
        with disk_is_infrastructure():
            await prepare(self.home, announce)

    async def compile(self, problem: Problem, source: str) -> Compilation:
        check_source(source)
        with disk_is_infrastructure():
            if is_triton(source):
                return await compile_triton(problem, source)
            nvcc = await anyio.to_thread.run_sync(find_nvcc, only(self._path))
            return (await compile_kernel(self.home, machine(), nvcc, source)).compilation

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
        with disk_is_infrastructure():
            if engine in native.TRUST:
                cuda_only(source, engine)
                mode = "time" if engine == native.ENGINE else "check"
                return (await self._native(problem, source, engine, seed, timeout_s, mode)).evaluation
            return (await self._emulated(problem, source, engine, seed, timeout_s, recall)).evaluation

    async def evaluate_against(
        self, problem: Problem, source: str, against: str, *, engine: str, seed: int = 0, timeout_s: float = 60.0
    ) -> Evaluation:
        if engine != native.ENGINE:
            return await super().evaluate_against(problem, source, against, engine=engine)
        check_source(source)
        check_source(against)
        with disk_is_infrastructure():
            return (await self._native(problem, source, engine, seed, timeout_s, "time", against)).evaluation

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
        with disk_is_infrastructure():
            if engine in native.TRUST:
                cuda_only(source, engine)
                if not self.engine(engine).profiles:
                    raise UsageError(f"engine {engine!r} does not profile; use {native.ENGINE!r} or {ENGINE!r}")
                measured = await self._native(problem, source, engine, 0, timeout_s, "profile")
                if measured.profile is None:
                    return measured.evaluation
                return _with_timeline(measured.profile, measured.spans, timeline)
            run = await self._emulated(problem, source, engine, 0, timeout_s, None)
        if run.estimate is None:
            return run.evaluation
        operator, device = operator_of(problem.id), machine()
        found = make_profile(problem, operator, source, run.evaluation, run.estimate, device, detail=detail)
        return _with_timeline(found, launches(run.estimate, device), timeline)

    async def _emulated(
        self, problem: Problem, source: str, engine: str | None, seed: int, timeout_s: float, recall: Recall | None
    ) -> Run:
        self._check(engine)
        if is_triton(source):
            return await evaluate_triton(problem, source, seed, timeout_s)
        return await evaluate_on_cpu(self.home, self._path, problem, source, seed, timeout_s, recall=recall)

    async def _native(
        self,
        problem: Problem,
        source: str,
        engine: str,
        seed: int,
        timeout_s: float,
        mode: str,
        incumbent: str | None = None,
    ) -> NativeRun:
        operator = operator_of(problem.id)
        return await evaluate_on_cuda(
            self.home, self._path, problem, operator, source,
            engine=engine, seed=seed, timeout_s=timeout_s, mode=mode, incumbent=incumbent,
        )  # fmt: skip

    def _check(self, engine: str | None) -> None:
        if engine not in (None, ENGINE):
            raise UnknownEngineError(str(engine), [ENGINE, *native.TRUST])
