"""One evaluation on the GPU of this machine: compile, look at what came out, run natively, judge, profile."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from ...base import (
    Beside,
    Compilation,
    Diagnostic,
    EngineFailure,
    EnvironmentLackError,
    Evaluation,
    Problem,
    Profile,
    Span,
    UsageError,
    kernel_digest,
)
from ...process import Finished, Limits, minimal_environment, run
from ...sandbox import devices
from ...simulating import Judgement, compile_error, generator
from ...store import Home, locked
from ..nvcc import Compiled
from ..operators import FULL, SCRATCH_BYTES, InputSet, Operator, Right, input_set, small_sets
from ..screen import Screened, assembly, screen
from . import library, ncu, sanitizer
from .device import ORDER, VISIBLE, machine_of
from .engines import SANITIZE, VERSION, Setup, setup
from .job import Argument, Case, Job, Report, read_report
from .judge import judge
from .profile import launches, make_profile
from .timing import against
from .toolkit import compile_library, runner

TIMED_SETS = 3
LEAST_FLUSH = 256 << 20
FILE_BYTES = 4 << 30
# The driver's, its capabilities', those of Jetson boards and of Windows' subsystem.
DEVICES = ("nvidia*", "nvhost*", "nvmap", "nvgpu*", "dri", "dxg")
PASSED_ON = (VISIBLE, "NVIDIA_VISIBLE_DEVICES")


class Run(NamedTuple):
    evaluation: Evaluation
    profile: Profile | None = None
    spans: Sequence[Span] = ()  # with their figures, for a timeline


class _Bench(NamedTuple):
    """One kernel, compiled, in its folder, with its job."""

    setup: Setup
    operator: Operator
    folder: Path
    program: Path  # the runner

    async def execute(self, wrapper: Sequence[str], timeout_s: float) -> Finished:
        """Raises EngineFailure."""
        environment = minimal_environment(
            self.folder,
            LD_LIBRARY_PATH=self.setup.kit.libraries,
            CUDA_CACHE_DISABLE="1",
            **ORDER,
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        )
        limits = Limits(wall_s=timeout_s, file_bytes=FILE_BYTES, memory_bytes=None, output_bytes=8 << 20, processors=2)
        kit = self.setup.kit
        reach = devices(*DEVICES, read=(self.program, *kit.reach.read), debugging=bool(wrapper))
        command = [*wrapper, self.program, "job"]
        try:
            return await run(command, cwd=self.folder, env=environment, limits=limits, reach=reach)
        except OSError as error:
            raise EngineFailure(f"the runner cannot be started: {error}") from error


async def evaluate_on_cuda(
    home: Home,
    path: str | None,
    problem: Problem,
    operator: Operator,
    source: str,
    *,
    engine: str,
    seed: int,
    timeout_s: float,
    incumbent: str | None = None,
    mode: str = "time",
) -> Run:
    """`mode`: time, check (under compute-sanitizer) or profile. `incumbent`: source of a right kernel, timed in turns
    with this one. `path` replaces PATH. Raises UsageError (for the incumbent), EngineFailure, EnvironmentLackError."""
    started = time.monotonic()
    found = await anyio.to_thread.run_sync(setup, path)
    digest = kernel_digest(source)
    screened = await anyio.to_thread.run_sync(screen, source)
    sets = await anyio.to_thread.run_sync(_sets, operator, generator(problem.digest, digest, seed), mode)
    with tempfile.TemporaryDirectory(prefix="autocomp-cuda-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        compiled, refusal = await _compile(found, source, screened, folder / "kernel.so")
        seconds = {"compile": time.monotonic() - started}

        def concluded(judged: Judgement) -> Evaluation:
            return Evaluation(
                problem=problem.id,
                kernel=digest,
                engine=engine,
                engine_version=f"{VERSION} {found.title}",
                source="measured",
                compilation=_compilation(found, compiled),
                input_sets=tuple(chosen.name for chosen in sets),
                seed=seed,
                seconds=seconds,
                **judged._asdict(),
            )

        if not compiled.ok:
            return Run(concluded(compile_error(compiled.diagnostics[0])))
        if refusal is not None:
            return Run(concluded(Judgement("rejected", refusal)))
        programs = [folder / "kernel.so"]
        if incumbent is not None and mode == "time":
            beside, refused = await _compile(found, incumbent, screen(incumbent), folder / "incumbent.so")
            if not beside.ok or refused is not None:
                raise UsageError(f"the kernel to time against cannot be run: {refused or 'it does not compile'}")
            programs.append(folder / "incumbent.so")
        bench = _Bench(found, operator, folder, await runner(home, found.kit, found.gpu.architecture))
        job = _job(operator, sets, programs, mode)
        await anyio.to_thread.run_sync(job.write, folder)
        ran = time.monotonic()
        async with locked(home.cache / "cuda-device.lock"):  # two at once would time each other
            finished, expected = await _run(bench, job, sets, mode, timeout_s)
            seconds["run"] = time.monotonic() - ran
            if mode == "check" and (judged := await _sanitized(bench, timeout_s)) is not None:
                return Run(concluded(judged))
        if finished.timed_out:
            text = f"stopped after {timeout_s:.0f} s on the device: an endless loop, or far too slow"
            return Run(concluded(Judgement("timed_out", text)))
        report = _report(finished)
        device = machine_of(report.device)
        if device.architecture != found.gpu.architecture:
            raise EnvironmentLackError(
                f"the kernel was compiled for {found.gpu.name} ({found.gpu.architecture}), but CUDA's first device is "
                f"{device.title} ({device.architecture}): name the one that is meant in {VISIBLE}, by its number in "
                "nvidia-smi or its UUID"
            )
        checked = time.monotonic()
        judged = await anyio.to_thread.run_sync(judge, operator, sets, expected, job, folder, report, device)
        seconds["check"] = time.monotonic() - checked
        evaluation = concluded(judged)
        if incumbent is not None and evaluation.passed and (ratio := against(report)) is not None:
            beside = Beside(kernel=kernel_digest(incumbent), certain=ratio.certain, **ratio.rounded())
            evaluation = evaluation.model_copy(update={"beside": beside})
        if mode != "profile" or not evaluation.passed:
            return Run(evaluation)
        kernels = ncu.parse((folder / ncu.LOG).read_text(errors="replace"))
        profiled = make_profile(problem, operator, evaluation, kernels, compiled, device)
        return Run(evaluation, profiled, launches(kernels))


def _sets(operator: Operator, rng: object, mode: str) -> tuple[InputSet, ...]:
    small = small_sets(operator, rng)  # type: ignore[arg-type]
    if mode == "check":
        return small
    count = TIMED_SETS if mode == "time" else 1
    full = (input_set(operator, rng, f"{FULL}, {n}", operator.dims) for n in range(1, count + 1))  # type: ignore[arg-type]
    return (*small, *full)


async def _compile(found: Setup, source: str, screened: Screened, to: Path) -> tuple[Compiled, str | None]:
    """And why the kernel is not run, where it may not be."""
    if (place := assembly(source)) is not None:
        said = "inline assembly is not run natively: use the intrinsics (mma.h, cuda_pipeline.h, __shfl_sync, ...)"
        found_there = Diagnostic(severity="error", message=said, line=place)
        return Compiled(True, (found_there,), {}, 0.0), f"line {place}: {said}"
    if screened.refused:
        first = screened.refused[0]
        return Compiled(True, screened.refused, {}, 0.0), f"line {first.line}: {first.message}"
    if screened.errors:
        return Compiled(False, screened.errors, {}, 0.0), None
    try:
        compiled = await compile_library(found.kit, found.gpu.architecture, source, to)
    except OSError as error:
        raise EngineFailure(f"{found.kit.nvcc.title} cannot be started: {error}") from error
    return compiled, await anyio.to_thread.run_sync(library.refusal, to) if compiled.ok else None


def _compilation(found: Setup, compiled: Compiled) -> Compilation:
    facts: dict[str, int] = {}
    for entry in compiled.kernels.values():
        facts["registers_per_thread"] = max(facts.get("registers_per_thread", 0), entry.registers)
        spills = entry.spill_stores + entry.spill_loads
        facts["spill_bytes_per_thread"] = max(facts.get("spill_bytes_per_thread", 0), spills)
    return Compilation(
        ok=compiled.ok,
        compiler=f"{found.kit.nvcc.title} for {found.gpu.architecture}",
        diagnostics=compiled.diagnostics,
        facts=facts,
        seconds=compiled.seconds,
    )


def _job(operator: Operator, sets: Sequence[InputSet], programs: Sequence[Path], mode: str) -> Job:
    def case(chosen: InputSet) -> Case:
        inputs, outputs = operator.shapes(chosen.dims)
        sizes = tuple(math.prod(shape) for shape in (*inputs.values(), *outputs.values()))
        values = tuple(chosen.inputs[name] for name in inputs)
        return Case(chosen.name, chosen.name.startswith(FULL), tuple(chosen.dims.values()), sizes, values)

    inputs, outputs = operator.shapes(operator.dims)
    arguments = [Argument(name, False, "float32") for name in inputs]
    arguments += [Argument(name, True, "float32") for name in outputs]
    return Job(
        mode=mode,
        programs=tuple(programs),
        arguments=tuple(arguments),
        cases=tuple(map(case, sets)),
        scratch=SCRATCH_BYTES,
        flush=LEAST_FLUSH if mode == "time" else 0,
        seed=secrets.randbits(63),
        warmups=10 if mode == "time" else 3,
    )


async def _run(
    bench: _Bench, job: Job, sets: Sequence[InputSet], mode: str, timeout_s: float
) -> tuple[Finished, list[dict[str, Right]]]:
    """The runner, beside the reference on the CPU, which does not disturb the device's clock."""
    expected: list[dict[str, Right]] = []
    finished: Finished | None = None
    failure: Exception | None = None

    async def compute() -> None:
        for chosen in sets:
            expected.append(await anyio.to_thread.run_sync(bench.operator.expected, chosen.inputs))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(compute)
        try:
            finished = await bench.execute(ncu.COMMAND if mode == "profile" else (), timeout_s)
        except EngineFailure as error:  # raised after the group, which would wrap it
            failure = error
        if finished is None or finished.timed_out:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    assert finished is not None
    return finished, expected


async def _sanitized(bench: _Bench, timeout_s: float) -> Judgement | None:
    """What compute-sanitizer finds; it was run without before. Raises EnvironmentLackError, EngineFailure."""
    if shutil.which(SANITIZE) is None:
        raise EnvironmentLackError(f"{SANITIZE} is not on PATH; it comes with the CUDA toolkit")
    log = bench.folder / sanitizer.LOG
    for tool in sanitizer.TOOLS:
        finished = await bench.execute(sanitizer.command(tool), timeout_s)
        if finished.timed_out:
            return Judgement("timed_out", f"stopped after {timeout_s:.0f} s under compute-sanitizer {tool}")
        if not log.is_file():
            raise EngineFailure(f"compute-sanitizer {tool} wrote no log: {finished.stderr.strip()[-400:]}")
        said = log.read_text(errors="replace")
        if (found := sanitizer.complaint(said, tool)) is not None:
            return found
        if finished.returncode != 0 or not _report(finished).ended or not sanitizer.clean(said, tool):
            words = " / ".join((said + finished.stderr).strip().splitlines()[-3:])[-400:]
            raise EngineFailure(f"compute-sanitizer {tool} ended with status {finished.returncode}: {words}")
        log.unlink()
    return None


def _report(finished: Finished) -> Report:
    """Raises EngineFailure where the runner itself could not work."""
    report = read_report("\n".join(line for line in finished.stdout.splitlines() if line.startswith("{")))
    if finished.returncode in (2, 127) or not report.device:
        said = finished.stderr.strip()[-600:] or "it said nothing"
        raise EngineFailure(f"the runner ended with status {finished.returncode}: {said}")
    return report
