"""One evaluation on the GPU of this machine: compile, look at what came out, run natively, judge, profile."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread

from ...base import Beside, EnvironmentLackError, Evaluation, Problem, Profile, Span, UsageError, kernel_digest
from ...simulating import Judgement, generator
from ...store import Home, locked
from ..machines import Machine
from ..operators import FULL, InputSet, Operator, input_set, small_sets
from . import ncu
from .building import Built, build
from .device import VISIBLE, machine_of
from .engines import VERSION, Setup, setup
from .job import Report
from .judge import judge
from .native import Bench, task
from .profile import launches, make_profile
from .timing import against
from .toolkit import runner

if TYPE_CHECKING:
    import numpy as np

TIMED_SETS = 3


class Run(NamedTuple):
    evaluation: Evaluation
    profile: Profile | None = None
    spans: Sequence[Span] = ()  # with their figures, for a timeline


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
    seconds: dict[str, float] = {}
    with _took(seconds, "compile"):
        found = await anyio.to_thread.run_sync(setup, path)
    rng = generator(problem.digest, kernel_digest(source), seed)
    sets = await anyio.to_thread.run_sync(_sets, operator, rng, mode)
    with tempfile.TemporaryDirectory(prefix="autocomp-cuda-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        with _took(seconds, "compile"):
            kernel = await build(found, source, folder / "kernel.so")
        concluded = partial(
            _evaluation, problem, source, found, kernel, sets, engine=engine, seed=seed, seconds=seconds
        )
        if kernel.refused is not None:
            return Run(concluded(kernel.refused))
        programs = [folder / "kernel.so"]
        if incumbent is not None and mode == "time":
            programs.append(await _beside(found, incumbent, folder / "incumbent.so"))
        given = await anyio.to_thread.run_sync(task, operator, sets, programs, mode)
        await anyio.to_thread.run_sync(given.job.write, folder)
        bench = Bench(found, folder, await runner(home, found.kit, found.gpu.architecture), timeout_s)
        async with locked(home.cache / "cuda-device.lock"):  # two at once would time each other
            with _took(seconds, "run"):
                ran = await bench.run(given)
            if mode == "check" and not isinstance(ran, Judgement):
                ran = await bench.sanitized() or ran
        if isinstance(ran, Judgement):
            return Run(concluded(ran))
        report, expected = ran
        device = _device(report, found)
        with _took(seconds, "check"):
            judged = await anyio.to_thread.run_sync(judge, given, expected, folder, report, device)
        evaluation = concluded(judged)
        if incumbent is not None and evaluation.passed and (ratio := against(report)) is not None:
            beside = Beside(kernel=kernel_digest(incumbent), certain=ratio.certain, **ratio.rounded())
            evaluation = evaluation.model_copy(update={"beside": beside})
        if mode != "profile" or not evaluation.passed:
            return Run(evaluation)
        kernels = ncu.parse((folder / ncu.LOG).read_text(errors="replace"))
        profiled = make_profile(problem, operator, evaluation, kernels, kernel.compiled, device)
        return Run(evaluation, profiled, launches(kernels))


def _sets(operator: Operator, rng: np.random.Generator, mode: str) -> tuple[InputSet, ...]:
    small = small_sets(operator, rng)
    if mode == "check":
        return small
    count = TIMED_SETS if mode == "time" else 1
    return (*small, *(input_set(operator, rng, f"{FULL}, {n}", operator.dims) for n in range(1, count + 1)))


async def _beside(found: Setup, incumbent: str, to: Path) -> Path:
    """Raises UsageError."""
    built = await build(found, incumbent, to)
    if built.refused is not None:
        raise UsageError(f"the kernel to time against cannot be run: {built.refused.message}")
    return to


def _device(report: Report, found: Setup) -> Machine:
    """What the runner ran on. Raises EnvironmentLackError where the kernel was compiled for another."""
    device = machine_of(report.device)
    if device.architecture == found.gpu.architecture:
        return device
    raise EnvironmentLackError(
        f"the kernel was compiled for {found.gpu.name} ({found.gpu.architecture}), but CUDA's first device is "
        f"{device.title} ({device.architecture}): name the one that is meant in {VISIBLE}, by its number in "
        "nvidia-smi or its UUID"
    )


def _evaluation(
    problem: Problem,
    source: str,
    found: Setup,
    kernel: Built,
    sets: Sequence[InputSet],
    judged: Judgement,
    *,
    engine: str,
    seed: int,
    seconds: dict[str, float],
) -> Evaluation:
    return Evaluation(
        problem=problem.id,
        kernel=kernel_digest(source),
        engine=engine,
        engine_version=f"{VERSION} {found.title}",
        source="measured",
        compilation=kernel.compilation(found),
        input_sets=tuple(chosen.name for chosen in sets),
        seed=seed,
        seconds=seconds,
        **judged._asdict(),
    )


@contextmanager
def _took(seconds: dict[str, float], what: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[what] = seconds.get(what, 0.0) + time.monotonic() - started
