"""One evaluation of a Triton kernel: screen, compile for the device, interpret at small shapes, count at the shape of
the id, judge. No GPU takes part."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from ..base import UNSUPPORTED, Compilation, Diagnostic, Evaluation, Latency, Problem, kernel_digest
from ..simulating import compile_error, generator
from .counts import LaunchCounts, complete
from .embedded import ENGINE, Run, engine_version, facts_of, in_later_call, together
from .estimate import estimate
from .families import operator_of
from .forms import require_triton
from .judge import Case, Judgement, compared, faulted, timed, unsound
from .machines import Machine, machine
from .operators import InputSet, Operator, full_set, small_sets
from .spots import EVEN_SHARE, by_the_draw, mixed, share, spot_check
from .triton_jobs import (
    CompiledTriton,
    Interpreted,
    TimedOut,
    compile_for,
    counts,
    dot_flops,
    interpret,
    seconds_of_all,
)
from .triton_screen import Screened, screen, unavailable

if TYPE_CHECKING:
    import numpy as np

COMPILE_S = 120.0
ALL_PROGRAMS = 1 << 31
TWO_FACED = "launch starts other kernels, grids or options where it is compiled than where it is interpreted"
BASIS = (
    "of one call of launch, by a roofline over counts of Triton's interpreter, global memory accessed as well as the "
    "addresses allow, shared memory and layout conversions not counted: rather too short, not measured"
)


class Attempt:
    """One kernel on its way; `compilation` once it is compiled."""

    def __init__(self, operator: Operator, device: Machine, source: str) -> None:
        """Raises EnvironmentLackError."""
        self.operator, self.device, self.source = operator, device, source
        self.title = f"triton {require_triton()} for {device.architecture}"
        self.screened: Screened = screen(source)
        self.made = CompiledTriton({}, {})
        self.endless = False  # to compile

    async def compile(self, folder: Path, limit_s: float = COMPILE_S) -> Compilation:
        """Raises EngineFailure."""
        if self.screened.diagnostics:
            return unavailable(self.title, self.screened)
        started, found = time.monotonic(), []
        try:
            shapes = (self.operator.dims, self.operator.tiny)
            self.made = await compile_for(folder, self.source, self.operator, shapes, self.device.architecture, limit_s)
            error = self.made.error
        except TimedOut:
            self.endless = True
            error = (f"compiling takes more than {limit_s:.0f} s", None)
        if error is not None:
            found = [Diagnostic(severity="error", message=error[0], line=error[1])]
        facts = facts_of(self.made.kernels)
        if facts:
            facts["shared_bytes"] = max(self.made.shared.values())
        return Compilation(
            ok=not found, compiler=f"{self.title}; interpreted on the CPU", diagnostics=tuple(found), facts=facts,
            seconds=round(time.monotonic() - started + self.screened.seconds, 4),
        )  # fmt: skip


async def compile_triton(problem: Problem, source: str) -> Compilation:
    """Raises EnvironmentLackError, EngineFailure."""
    attempt = await anyio.to_thread.run_sync(Attempt, operator_of(problem.id), machine(), source)
    with tempfile.TemporaryDirectory(prefix="autocomp-triton-", ignore_cleanup_errors=True) as scratch:
        return await attempt.compile(Path(scratch))


async def evaluate_triton(problem: Problem, source: str, seed: int, timeout_s: float) -> Run:
    """Raises EnvironmentLackError, EngineFailure."""
    operator, device, digest = operator_of(problem.id), machine(), kernel_digest(source)
    attempt = await anyio.to_thread.run_sync(Attempt, operator, device, source)
    rng = generator(problem.digest, digest, seed)
    small = await anyio.to_thread.run_sync(small_sets, operator, rng)
    whole = await anyio.to_thread.run_sync(full_set, operator, rng)
    compilations: list[Compilation] = []
    found: list[Interpreted] | None = None
    drawn = int(rng.integers(1 << 62))
    started, took = time.monotonic(), 0.0

    with tempfile.TemporaryDirectory(prefix="autocomp-triton-", ignore_cleanup_errors=True) as scratch:

        async def compiled() -> None:
            compilations.append(await attempt.compile(Path(scratch), min(COMPILE_S, timeout_s)))

        async def interpreted() -> None:
            nonlocal found, took
            if not attempt.screened.diagnostics:
                with suppress(TimedOut):
                    found = await _interpreted(Path(scratch), source, operator, small, whole, timeout_s, drawn)
            took = time.monotonic() - started

        await together(compiled, interpreted)
        (compilation,) = compilations
        names = tuple(chosen.name for chosen in (*small, whole)) if compilation.ok else ()

        def concluded(judged: Judgement, **seconds: float) -> Evaluation:
            return Evaluation(
                problem=problem.id,
                kernel=digest,
                engine=ENGINE,
                engine_version=engine_version(),
                source="estimated",
                compilation=compilation,
                input_sets=names,
                seed=seed,
                seconds={"compile": compilation.seconds, **seconds},
                **judged._asdict(),
            )

        if attempt.screened.refused:
            return Run(concluded(Judgement("rejected", attempt.screened.refused)))
        seconds = {"interpret": took}
        if not compilation.ok and not (attempt.endless and found is None):
            return Run(concluded(compile_error(compilation.diagnostics[0])))
        if found is None:
            text = f"stopped after {timeout_s:.0f} s of interpreting: an endless loop, or far too slow"
            return Run(concluded(Judgement("timed_out", text), **seconds))
        wrong = await anyio.to_thread.run_sync(_wrong, attempt, small, whole, found, rng)
    if wrong is not None:
        return Run(concluded(wrong, **seconds))
    if attempt.made.started != (found[-1].started, found[0].started):
        return Run(concluded(Judgement("rejected", TWO_FACED), **seconds))
    launches = counts(found[-1].launches, attempt.made.shared)
    expected = estimate(operator, launches, attempt.made.kernels, device)
    if (why := unsound(expected)) is not None:
        return Run(concluded(Judgement("crashed", f"{why}: {device.title} would refuse the launch"), **seconds))
    judged = timed(
        operator, launches, expected, device, f"in Triton's interpreter on {len(small)} small shapes and in spot checks"
    )
    if judged.latency is None:
        return Run(concluded(judged, **seconds))
    counted = {**judged.counters, "dot_flops": dot_flops(found[-1].launches)}
    latency = Latency(value=judged.latency.value, unit="ns", statistic=BASIS)
    return Run(concluded(judged._replace(latency=latency, counters=counted), **seconds), expected)


async def _interpreted(
    folder: Path,
    source: str,
    operator: Operator,
    small: Sequence[InputSet],
    whole: InputSet,
    timeout_s: float,
    seed: int,
) -> list[Interpreted]:
    """Of the small sets, and of the shape of the id: of some programs, or of all where some tell too little. Raises
    TimedOut, EngineFailure."""
    deadline = time.monotonic() + timeout_s
    found = await interpret(folder, source, operator, small, whole, timeout_s, seed=seed)
    last = found[-1]
    if len(found) <= len(small) or last.fault is not None or not last.launches:
        return found
    launches = counts(last.launches, {})
    left = max(1.0, deadline - time.monotonic())
    if complete(launches) or _tells_enough(last, launches, time_for_all=seconds_of_all(last.launches) < left / 2):
        return found
    every = folder / "all"
    every.mkdir()
    again = await interpret(
        every, source, operator, (), whole, left, seed=seed, programs=ALL_PROGRAMS, counting_s=left
    )  # fmt: skip
    if again[-1].fault is None and not complete(counts(again[-1].launches, {})):
        raise TimedOut
    return [*found[:-1], again[-1]]


def _tells_enough(last: Interpreted, launches: Sequence[LaunchCounts], *, time_for_all: bool) -> bool:
    """Whether the programs that ran wrote their share and nothing else had a part in it. Where some wrote less than
    others, for tails or because a part of the work is left out, all are looked at if there is time."""
    if mixed(launches) or any(said["idle"] for said in last.launches):
        return False
    wrote = share(launches, last.outputs[-1])
    return wrote >= EVEN_SHARE or (not time_for_all and by_the_draw(launches, wrote))


def _wrong(
    attempt: Attempt,
    small: Sequence[InputSet],
    whole: InputSet,
    found: Sequence[Interpreted],
    rng: np.random.Generator,
) -> Judgement | None:
    """What fails first."""
    operator, source = attempt.operator, attempt.source
    for chosen, outcome in zip((*small, whole), found, strict=False):
        case = Case(chosen.name, 0)
        if outcome.fault is not None:
            if outcome.fault.kind in (UNSUPPORTED, "forbidden"):
                where = f"line {outcome.fault.line}: " if outcome.fault.line else ""
                beyond = outcome.fault if outcome.fault.kind == UNSUPPORTED else None
                return Judgement("rejected", f"{where}{outcome.fault.message}", beyond)
            later = "; in a later call only" if (outcome.fault.call or 1) > 1 else ""
            return faulted(case, outcome.fault, source, later)
        if not outcome.launches:
            return Judgement("rejected", f"launch starts no kernel (inputs {chosen.name!r})")
        if chosen is whole:
            ended = complete(counts(outcome.launches, {}))
            return spot_check(operator, whole, outcome.outputs[-1], rng, complete=ended)
        for call, outputs in enumerate(outcome.outputs):
            right = operator.expected(chosen.then if call and chosen.then else chosen.inputs)
            if (wrong := compared(operator, case, right, outputs)) is not None:
                return wrong if call == 0 else in_later_call(wrong)
    return None
