"""One evaluation on the CPU: screen, compile, emulate at small shapes, count at the shape of the id, judge."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

from ..base import (
    UNSUPPORTED,
    AdapterError,
    Compilation,
    Diagnostic,
    EnvironmentLackError,
    Evaluation,
    Fault,
    Problem,
    Recall,
    kernel_digest,
)
from ..simulating import Judgement, compile_error, generator
from ..store import Home
from ..toolchain import source_digest
from . import nvcc as device_compiler
from .counts import LaunchCounts, complete
from .emulation import Built, Outcome, build, emulate, simulator_digest
from .estimate import Estimate, estimate
from .families import operator_of
from .judge import Case, compared, faulted, timed, unsound
from .machines import FILE, Machine, machine
from .nvcc import KernelFacts, Nvcc
from .operators import InputSet, Operator, Right, full_set, small_sets
from .screen import screen
from .spots import EVEN_SHARE, FAIR_SHARE, by_the_draw, mixed, share, spot_check
from .uncertainty import relative_error, stated

if TYPE_CHECKING:
    import numpy as np

ENGINE = "cpu"
ORDERS = 3  # in which the threads of a block may run between two barriers
MOST_BLOCKS = 48  # of a launch at the shape of the id, where they are alike
MAX_DRAWN = 4096  # where they are not, and not all are run; the emulator keeps so many apart
COUNTING_S = 1.0  # of processor time, after which no further block is drawn
UNEVEN_S = 6.0  # the same where blocks differ
TOLERATED = 0.03  # standard error of an estimate, by the draw of the blocks, at which no more are drawn
ROUNDS = 3
WHOLE_S = 10.0  # and when all of them have to be, of a kernel of several launches
UNCHECKED_S = 60.0  # of counting all blocks; where only what they write matters it goes several times as fast
CALLS = 2  # of launch in the first order, one after the other: what a call leaves behind must not matter


class Run(NamedTuple):
    """`estimate`: None unless the kernel ran to its end."""

    evaluation: Evaluation
    estimate: Estimate | None = None


class Compiled(NamedTuple):
    """`built` is None for what was refused or does not compile; `refused` says why no attempt was made, and
    `unsupported` that only the emulator refuses it."""

    compilation: Compilation
    built: Built | None
    kernels: Mapping[str, KernelFacts]
    refused: str | None = None
    unsupported: bool = False


@lru_cache
def engine_version() -> str:
    """Changes with every change of what judges and estimates here: the emulator, the operators, the devices."""
    return f"1+{source_digest(judging_files(), simulator_digest())[:8]}"


class AtFull(NamedTuple):
    """What came out at the shape of the id. Unless `wrong`: `counted` is what the estimate is of, `looked` says how
    much of the outputs was compared."""

    wrong: Judgement | None
    counted: Outcome | None = None
    looked: str = "in spot checks"


def judging_files() -> list[Path]:
    """All of this folder but for what only tunes, or works with a GPU."""
    folder = Path(__file__).parent
    return [*folder.glob("*.py"), *(folder / "tritonsim").glob("*.py"), FILE]


async def compile_kernel(home: Home, device: Machine, nvcc: Nvcc | None, source: str) -> Compiled:
    """Raises EnvironmentLackError (no C++ compiler), EngineFailure."""
    started = time.monotonic()
    screened = await anyio.to_thread.run_sync(screen, source)
    found: list[Diagnostic] = [*screened.refused, *screened.errors]
    compiler, kernels, built, refused, lacks = "not compiled", {}, None, None, ""
    if screened.refused:
        first = screened.refused[0]
        refused = f"line {first.line}: {first.message}"
    elif not screened.errors:
        answers: list[device_compiler.Compiled] = []
        made: list[Built] = []

        async def ask() -> None:
            nonlocal lacks
            if nvcc is not None:
                try:
                    answers.append(await device_compiler.compile_for(nvcc, device.architecture, source))
                except EnvironmentLackError as error:  # as on a machine without nvcc
                    lacks = f"; without register counts: {error}"

        async def make() -> None:
            made.append(await build(home, device, source))

        await together(make, ask)
        (attempt,) = made
        compiler = attempt.compiler + lacks
        if answers:
            compiler = f"{nvcc.title if nvcc else ''} for {device.architecture}; emulated with {compiler}"
            kernels = answers[0].kernels
            found += answers[0].diagnostics
        # What both compilers object to is said once, in the words of the device's.
        known = {entry.line for entry in found if entry.severity == "error"}
        found += [entry for entry in attempt.diagnostics if entry.severity == "error" and entry.line not in known]
        refused = attempt.unsupported or attempt.refused
        built = attempt
    ok = refused is None and not any(entry.severity == "error" for entry in found)
    return Compiled(
        Compilation(
            ok=ok, compiler=compiler, diagnostics=tuple(found), facts=facts_of(kernels),
            seconds=round(time.monotonic() - started, 4),
        ),
        built if ok and built is not None and built.program is not None else None, kernels, refused,
        built is not None and built.unsupported is not None,
    )  # fmt: skip


async def together(*tasks: Callable[[], Awaitable[None]]) -> None:
    """Side by side; what one raises is raised as it is, not in a group."""
    failures: list[AdapterError | OSError] = []

    async def guarded(task: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        try:
            await task()
        except (AdapterError, OSError) as error:
            failures.append(error)
            scope.cancel()

    async with anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(guarded, task, group.cancel_scope)
    if failures:
        raise failures[0]


def facts_of(kernels: Mapping[str, KernelFacts]) -> dict[str, int]:
    """Of the kernel that has most of each."""
    if not kernels:
        return {}
    return {
        "kernels": len(kernels),
        "registers_per_thread": max(k.registers for k in kernels.values()),
        "static_shared_bytes": max(k.shared_bytes for k in kernels.values()),
        "stack_bytes": max(k.stack_bytes for k in kernels.values()),
        "spill_bytes": max(k.spill_stores + k.spill_loads for k in kernels.values()),
    }


async def evaluate_on_cpu(
    home: Home,
    path: str | None,
    problem: Problem,
    source: str,
    seed: int,
    timeout_s: float,
    *,
    recall: Recall | None = None,
) -> Run:
    """`path` replaces PATH in the search for nvcc. Raises EngineFailure, EnvironmentLackError."""
    operator, digest, device = operator_of(problem.id), kernel_digest(source), machine()
    nvcc = await anyio.to_thread.run_sync(device_compiler.find_nvcc, device_compiler.only(path))
    compiled = await compile_kernel(home, device, nvcc, source)
    sets: tuple[InputSet, ...] = ()

    def concluded(judged: Judgement, **seconds: float) -> Evaluation:
        return Evaluation(
            problem=problem.id,
            kernel=digest,
            engine=ENGINE,
            engine_version=engine_version(),
            source="estimated",
            compilation=compiled.compilation,
            input_sets=tuple(chosen.name for chosen in sets),
            seed=seed,
            seconds={"compile": compiled.compilation.seconds, **seconds},
            **judged._asdict(),
        )

    if compiled.refused:
        beyond = Fault(kind=UNSUPPORTED, message=compiled.refused) if compiled.unsupported else None
        return Run(concluded(Judgement("rejected", compiled.refused, beyond)))
    if compiled.built is None or compiled.built.program is None:
        first = next(entry for entry in compiled.compilation.diagnostics if entry.severity == "error")
        return Run(concluded(compile_error(first)))
    if recall is not None and (known := await recall(compiled.compilation)) is not None:
        return Run(known)
    rng = generator(problem.digest, digest, seed)
    sets = await anyio.to_thread.run_sync(small_sets, operator, rng)
    started = time.monotonic()

    def latency(launches: Sequence[LaunchCounts]) -> float:
        return estimate(operator, launches, compiled.kernels, device).raw_ns

    trial = _Trial(home, device, compiled.built, operator, source, rng, started + timeout_s, timeout_s, latency)
    with tempfile.TemporaryDirectory(prefix="autocomp-cuda-", ignore_cleanup_errors=True) as scratch:
        failed = await trial.small(sets, Path(scratch))
        checked = time.monotonic()
        if failed is not None:
            return Run(concluded(failed, emulate=checked - started))
        whole = await anyio.to_thread.run_sync(full_set, operator, rng)
        sets = (*sets, whole)
        wrong, outcome, looked = await trial.full(whole, Path(scratch))
    seconds = {"emulate": checked - started, "count": time.monotonic() - checked}
    if wrong is not None or outcome is None:
        return Run(concluded(wrong or trial.late(), **seconds))
    found = estimate(
        operator, outcome.launches, compiled.kernels, device,
        fills=outcome.fills, filled_bytes=outcome.filled_bytes,
    )  # fmt: skip
    if (why := unsound(found)) is not None:
        return Run(concluded(Judgement("crashed", f"{why}: {device.title} would refuse the launch"), **seconds))
    drawn = stated(outcome.launches, relative_error(outcome.launches, latency))
    checked_on = f"on {len(sets) - 1} small shapes and {looked}"
    judged = timed(operator, outcome.launches, found, device, checked_on, drawn)
    return Run(concluded(judged, **seconds), found if judged.verdict == "passed" else None)


def in_later_call(wrong: Judgement) -> Judgement:
    text = f"{wrong.message}; in a later call only: the kernel relies on what an earlier call left"
    return wrong._replace(message=text)


class _Trial:
    """The emulations of one kernel, up to the deadline."""

    def __init__(
        self,
        home: Home,
        device: Machine,
        built: Built,
        operator: Operator,
        source: str,
        rng: np.random.Generator,
        deadline: float,
        timeout_s: float,
        latency: Callable[[Sequence[LaunchCounts]], float],
    ) -> None:
        self._latency = latency
        self._home, self._device, self._built, self._operator, self._source = home, device, built, operator, source
        self._rng, self._blocks_seed = rng, int(rng.integers(1 << 62))
        self._deadline, self._timeout_s = deadline, timeout_s

    def late(self) -> Judgement:
        text = f"stopped after {self._timeout_s:.0f} s of emulating: an endless loop, or far too slow"
        return Judgement("timed_out", text)

    async def small(self, sets: tuple[InputSet, ...], folder: Path) -> Judgement | None:
        """Every set in every order; what is wrong with the first that fails."""
        for chosen in sets:
            rights: list[dict[str, Right]] = []
            for order in range(ORDERS):
                case = Case(chosen.name, order)
                outcome = await self._run(chosen, folder, order=order, blocks=None, trace=False)
                if isinstance(outcome, Judgement):
                    return outcome
                if not rights:
                    for inputs in (chosen.inputs, chosen.then or chosen.inputs):
                        rights.append(await anyio.to_thread.run_sync(self._operator.expected, inputs))
                for call, outputs in enumerate((*outcome.earlier, outcome.outputs)):
                    if (wrong := compared(self._operator, case, rights[call], outputs)) is not None:
                        return wrong if call == 0 else in_later_call(wrong)
        return None

    async def full(self, whole: InputSet, folder: Path) -> AtFull:
        """Some blocks at the shape of the id: what they write is right, and how they reach memory. All of them where
        some tell too little: blocks build on each other's results, or those that ran left the writing to others."""
        started = time.monotonic()
        outcome = await self._run(whole, folder, order=0, blocks=MOST_BLOCKS, seconds=COUNTING_S, trace=True)
        if isinstance(outcome, Judgement):
            return AtFull(outcome)
        took = time.monotonic() - started
        if not outcome.complete:
            return AtFull(Judgement("rejected", "too many launches or places of access to be counted"))
        seconds = took * max(launch.scale for launch in outcome.launches)
        if complete(outcome.launches):
            return AtFull(await self._spot_check(whole, outcome), outcome)
        if mixed(outcome.launches) or outcome.fills:
            return await self._by_all(whole, folder, outcome, count=seconds < WHOLE_S)
        if share(outcome.launches, outcome.outputs) < FAIR_SHARE:
            return await self._by_all(whole, folder, outcome, count=True)
        outcome = await self._settled(whole, folder, outcome, time.monotonic() + UNEVEN_S - took)
        if isinstance(outcome, Judgement):
            return AtFull(outcome)
        if complete(outcome.launches) or (wrote := share(outcome.launches, outcome.outputs)) >= EVEN_SHARE:
            return AtFull(await self._spot_check(whole, outcome), outcome)
        said = f"the blocks that ran wrote {100 * wrote:.1f} % of an even share of the outputs"
        if seconds < UNCHECKED_S or not by_the_draw(outcome.launches, wrote):
            ended = await self._by_all(whole, folder, outcome, count=False)
            if ended.wrong is None or ended.wrong.verdict != "timed_out":
                return ended
            return AtFull(ended.wrong._replace(message=f"{ended.wrong.message}; {said}, so all had to run"))
        looked = f"in spot checks; {said}, and all take too long: that the others write the rest is not known"
        return AtFull(await self._spot_check(whole, outcome), outcome, looked)

    async def _by_all(self, whole: InputSet, folder: Path, some: Outcome, *, count: bool) -> AtFull:
        """Every block runs, and every element has to be written; unless `count`, the counts are those of `some`."""
        built = self._built if count else await build(self._home, self._device, self._source, checked=False)
        every = await self._run(whole, folder, order=0, blocks=None, trace=count, built=built)
        if isinstance(every, Judgement):
            return AtFull(every)
        return AtFull(await self._spot_check(whole, every), every if count else some)

    async def _settled(self, whole: InputSet, folder: Path, outcome: Outcome, until: float) -> Outcome | Judgement:
        """Of more blocks, where those that ran differ so much that another draw would give another estimate: until it
        would not, all have run, or time is up."""
        for _ in range(ROUNDS):
            error = relative_error(outcome.launches, self._latency)
            left = until - time.monotonic()
            if error <= TOLERATED or complete(outcome.launches) or left <= 0:
                break
            run = max(launch.blocks_run for launch in outcome.launches)
            more = math.ceil(1.2 * run * (error / TOLERATED) ** 2) if error < math.inf else 4 * run
            again = await self._run(
                whole, folder, order=0, blocks=min(max(more, 2 * run), MAX_DRAWN), seconds=left, trace=True
            )
            if isinstance(again, Judgement):
                return again
            if not again.complete or max(launch.blocks_run for launch in again.launches) <= run:
                break
            outcome = again
        return outcome

    async def _spot_check(self, whole: InputSet, outcome: Outcome) -> Judgement | None:
        def check() -> Judgement | None:
            ended = complete(outcome.launches)
            return spot_check(self._operator, whole, outcome.outputs, self._rng, complete=ended)

        return await anyio.to_thread.run_sync(check)

    async def _run(
        self,
        chosen: InputSet,
        folder: Path,
        *,
        order: int,
        blocks: int | None,
        seconds: float = 0.0,
        trace: bool,
        built: Built | None = None,
    ) -> Outcome | Judgement:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return self.late()
        outcome = await emulate(
            built or self._built, self._device, self._operator, chosen, folder, order=order, blocks=blocks,
            seconds=seconds, trace=trace,
            calls=CALLS if order == 0 and chosen.then is not None else 1,
            seed=order + 1 if chosen.then is not None else self._blocks_seed, timeout_s=left,
        )  # fmt: skip
        if outcome.timed_out:
            return self.late()
        if outcome.fault is not None:
            return faulted(Case(chosen.name, order), outcome.fault, self._source)
        if outcome.returned:
            text = f"launch returned {outcome.returned}: it reports an error of its own"
            return Judgement("crashed", f"{text} (inputs {chosen.name!r})")
        if not outcome.launches:
            return Judgement("rejected", f"launch starts no kernel (inputs {chosen.name!r})")
        return outcome
