"""One evaluation on the embedded simulator: compile, simulate beside the reference, judge."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

from ..base import Evaluation, Problem, Recall, kernel_digest
from ..simulating import Judgement, deliver, generator
from ..store import Home
from . import gemsim
from .custom import Custom, results_of, sets_of
from .judge import judge, not_compiled
from .operators import Operator, defines
from .together import in_thread, together
from .toolchain import SOURCE_NAME, compile_kernel, cross_compiler

if TYPE_CHECKING:
    from .operators import InputSet

ENGINE = "gemsim"


class Run(NamedTuple):
    evaluation: Evaluation
    raw: gemsim.RawProfile | None = None
    program: Path | None = None


async def evaluate_on_gemsim(
    home: Home,
    path: str | None,
    problem: Problem,
    operator: Operator,
    source: str,
    seed: int,
    timeout_s: float,
    *,
    profile: bool,
    timeline: Path | None,
    recall: Recall | None = None,
) -> Run:
    """`path` replaces PATH in the search for a compiler; `timeline` is a file to write.

    Raises EngineFailure, EnvironmentLackError.
    """
    digest = kernel_digest(source)
    compiler = await anyio.to_thread.run_sync(cross_compiler, path)
    program = await gemsim.simulator(home)
    deadline = time.monotonic() + timeout_s  # the time in which others, or we, build the simulator is no kernel's

    def draw() -> tuple[tuple[InputSet, ...], tuple[gemsim.JobCase, ...]]:
        # NumPy loads while the compiler runs
        rng = generator(problem.digest, digest, seed)
        sets = sets_of(operator, rng)
        return sets, gemsim.job_cases(operator.tensors, sets, rng)

    compiling = compile_kernel(home, compiler, source, defines(operator))
    (sets, cases), compiled = await together(in_thread(draw), compiling)

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
            seconds={"compile": compiled.compilation.seconds, **seconds},
            **judged._replace(counters=_counters(answer))._asdict(),
        )

    if compiled.program is None:
        return Run(concluded(not_compiled(compiled)))
    if recall is not None and (known := await recall(compiled.compilation)) is not None:
        return Run(known)
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
            expected, results = await together(results_of(operator, sets), simulation)
        except gemsim.TimedOut:
            stopped = Judgement(
                "timed_out", f"stopped after {timeout_s:.0f} s of simulating: the kernel is far too slow"
            )
            return Run(concluded(stopped, simulate=time.monotonic() - started))
        if timeline is not None and results.profile is not None:
            await anyio.to_thread.run_sync(lambda: deliver((folder / "timeline.json").read_bytes(), timeline))
    simulated = time.monotonic()
    judged = await anyio.to_thread.run_sync(
        judge, problem, operator, sets, cases, expected, results, compiled.program, source, SOURCE_NAME
    )
    seconds = {"simulate": simulated - started, "check": time.monotonic() - simulated}
    return Run(concluded(judged, results.answer, **seconds), results.profile, compiled.program)


def instruction_limit(operator: Operator) -> int:
    """Instructions a call may take before it counts as an endless loop.

    A scalar kernel without the accelerator needs about 6 per multiplication; more than 16 is no attempt at speed.
    """
    if isinstance(operator, Custom):
        return operator.instruction_limit
    return min(2_000_000_000, max(20_000_000, 16 * (operator.macs or 0)))


def _counters(answer: gemsim.Answer | None) -> dict[str, int | None]:
    """Of the timed, cold call."""
    if answer is None or not answer.cases or not answer.cases[0].calls:
        return {}
    call = answer.cases[0].calls[0]
    return {"instret": call.instret, "commands": call.commands, **call.counters}
