"""One evaluation of a Triton kernel: screen, compile for the device, interpret at small shapes, count at the shape of
the id, judge. No GPU takes part."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from ..base import Compilation, Diagnostic, Evaluation, Latency, Problem, kernel_digest
from ..simulating import generator
from .embedded import ENGINE, Run, engine_version, facts_of, in_later_call, spot_check, together
from .estimate import estimate
from .families import operator_of
from .forms import require_triton
from .judge import Case, Judgement, compared, faulted, timed, unsound
from .machines import Machine, machine
from .operators import InputSet, Operator, full_set, small_sets
from .triton_jobs import CompiledTriton, Interpreted, TimedOut, compile_for, counts, dot_flops, interpret
from .triton_screen import Screened, screen, unavailable

COMPILE_S = 120.0
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

    async def compile(self, folder: Path) -> Compilation:
        """Raises EngineFailure."""
        if self.screened.diagnostics:
            return unavailable(self.title, self.screened)
        started, found = time.monotonic(), []
        try:
            shapes = (self.operator.dims, self.operator.tiny)
            self.made = await compile_for(
                folder, self.source, self.operator, shapes, self.device.architecture, COMPILE_S
            )
            error = self.made.error
        except TimedOut:
            error = (f"compiling takes more than {COMPILE_S:.0f} s", None)
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
    started, took = time.monotonic(), 0.0

    with tempfile.TemporaryDirectory(prefix="autocomp-triton-", ignore_cleanup_errors=True) as scratch:

        async def compiled() -> None:
            compilations.append(await attempt.compile(Path(scratch)))

        async def interpreted() -> None:
            nonlocal found, took
            if not attempt.screened.diagnostics:
                with suppress(TimedOut):
                    found = await interpret(Path(scratch), source, operator, small, whole, timeout_s)
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
        if not compilation.ok:
            first = compilation.diagnostics[0]
            where = f"line {first.line}: " if first.line else ""
            return Run(concluded(Judgement("compile_error", f"the kernel does not compile: {where}{first.message}")))
        seconds = {"interpret": took}
        if found is None:
            text = f"stopped after {timeout_s:.0f} s of interpreting: an endless loop, or far too slow"
            return Run(concluded(Judgement("timed_out", text), **seconds))
        wrong = await anyio.to_thread.run_sync(_wrong, attempt, small, whole, found)
    if wrong is not None:
        return Run(concluded(wrong, **seconds))
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


def _wrong(
    attempt: Attempt, small: Sequence[InputSet], whole: InputSet, found: Sequence[Interpreted]
) -> Judgement | None:
    """What fails first."""
    operator, source = attempt.operator, attempt.source
    for chosen, outcome in zip((*small, whole), found, strict=False):
        case = Case(chosen.name, 0)
        if outcome.fault is not None:
            if outcome.fault.kind in ("unsupported", "forbidden"):
                where = f"line {outcome.fault.line}: " if outcome.fault.line else ""
                return Judgement("rejected", f"{where}{outcome.fault.message}")
            later = "; in a later call only" if (outcome.fault.call or 1) > 1 else ""
            return faulted(case, outcome.fault, source, later)
        if not outcome.launches:
            return Judgement("rejected", f"launch starts no kernel (inputs {chosen.name!r})")
        if chosen is whole:
            complete = all(launch["run"] == launch["grid"][0] * launch["grid"][1] * launch["grid"][2]
                           for launch in outcome.launches)  # fmt: skip
            if len(outcome.launches) > 1 and not complete:
                return None  # later kernels worked on what the programs left out did not write
            return spot_check(operator, whole, outcome.outputs[-1])
        right = operator.expected(chosen.inputs)
        for call, outputs in enumerate(outcome.outputs, 1):
            if (wrong := compared(operator, case, right, outputs)) is not None:
                return wrong if call == 1 else in_later_call(wrong)
    return None
