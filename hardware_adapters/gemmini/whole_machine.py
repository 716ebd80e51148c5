"""One evaluation on an engine that runs whole machines: make the programs, run them, judge what is read back."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import numpy as np

from ..base import (
    EngineFailure,
    EnvironmentLackError,
    Evaluation,
    Fault,
    Latency,
    Mismatch,
    Problem,
    Recall,
    UsageError,
)
from ..simulating import Judgement
from ..store import Home
from ..toolchain import Compiler
from .custom import results_of
from .elf_file import Image, read_image
from .engines import DUMP, PROGRAM, UNISOLATED_VARIABLE, Executed, WholeMachine
from .gemsim import LINE_BYTES, MAX_SHIFT_LINES, SimulatedFault
from .harness import (
    BEGUN,
    GROUPS,
    KERNEL_BASE,
    CallReport,
    NoReport,
    Placed,
    Report,
    expected_groups,
    harness_image,
    place,
    read_console,
    read_dump,
)
from .judge import compared, faulted, not_compiled
from .operators import InputSet, Operator
from .toolchain import SOURCE_NAME, Compiled, compile_kernel

LOG_HEAD, LOG_TAIL = 16 << 10, 48 << 10
_WORDS_SHOWN = 500
# Causes of the privileged architecture, as the kinds of fault that gemsim tells.
_KINDS = {
    0: "wild_jump", 1: "wild_jump", 2: "illegal_instruction", 3: "illegal_instruction", 4: "misaligned",
    5: "illegal_address", 6: "misaligned", 7: "illegal_address", 8: "illegal_instruction", 12: "wild_jump",
    13: "illegal_address", 15: "illegal_address",
}  # fmt: skip
_WHAT = {
    0: "jump to a misaligned address", 1: "jump to where there is no code of the kernel", 2: "illegal instruction",
    3: "ebreak: the program stopped itself", 4: "misaligned load", 5: "load from memory that is not the kernel's",
    6: "misaligned store", 7: "store to memory that is not the kernel's", 8: "ecall: a kernel has no operating system",
}  # fmt: skip


class Outcome(NamedTuple):
    compiled: Compiled
    judged: Judgement
    sets: tuple[InputSet, ...]
    counters: dict[str, int | None]
    seconds: dict[str, float]
    log: str | None = None


class _Case(NamedTuple):
    chosen: InputSet
    placed: Placed
    executed: Executed
    report: Report
    outputs: tuple[dict[str, np.ndarray], ...]  # of every finished call, where memory was read


async def evaluate_on(
    engine: WholeMachine,
    home: Home,
    compiler: Compiler,
    problem: Problem,
    operator: Operator,
    draw: Callable[[], tuple[InputSet, ...]],
    source: str,
    rng: np.random.Generator,
    timeout_s: float,
    recall: Recall | None = None,
) -> Outcome | Evaluation:
    """`draw` makes the input sets; those that the engine has time for are used, each in a machine of its own.

    Raises EngineFailure; EnvironmentLackError for a machine that cannot keep the kernel from the harness; UsageError
    for operands that do not fit the machine.
    """
    harness = await harness_image(home, compiler)
    deadline = time.monotonic() + timeout_s  # the time in which the harness is built is no kernel's
    compiled = await compile_kernel(home, compiler, source, origin=KERNEL_BASE)
    drawn = await anyio.to_thread.run_sync(draw)
    sets = tuple(chosen for chosen in drawn if chosen.name in engine.input_sets)
    if compiled.program is None:
        return Outcome(compiled, not_compiled(compiled), sets, {}, {})
    if recall is not None and (known := await recall(compiled.compilation)) is not None:
        return known
    kernel = read_image(await anyio.Path(compiled.program).read_bytes())
    started = time.monotonic()
    logs: list[str] = []
    cases: list[_Case] = []
    judged: Judgement | None = None
    for chosen in sets:
        with tempfile.TemporaryDirectory(prefix=f"autocomp-{engine.name}-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch)
            # Only the first set lies as every kernel's data does: built-in addresses fail with the others.
            shift = 0 if not cases else LINE_BYTES * int(rng.integers(1, MAX_SHIFT_LINES))
            placed = await anyio.to_thread.run_sync(
                _prepare, engine, harness, kernel, operator, chosen, rng, shift, folder
            )
            executed = await engine.execute(folder, max(0.1, deadline - time.monotonic()))
            logs.append(f"==== {engine.name}, {chosen.name!r} inputs, status {executed.returncode}\n{executed.console}")
            found = await anyio.to_thread.run_sync(_read, engine, placed, chosen, executed, folder, timeout_s)
        if isinstance(found, Judgement):
            judged = found
            break
        cases.append(found)
        if found.report.state == "trapped":
            fault = _fault(found.report)
            judged = await anyio.to_thread.run_sync(faulted, chosen.name, fault, compiled.program, source, SOURCE_NAME)
            break
    ran = time.monotonic()
    if judged is None:
        expected = await results_of(operator, [case.chosen for case in cases])
        judged = await anyio.to_thread.run_sync(_judged, engine, problem, operator, cases, expected)
    log = home.keep(_shortened("\n".join(logs)).encode(errors="replace"), ".log")
    return Outcome(
        compiled, judged, sets, _counters(engine, cases),
        {"simulate": ran - started, "check": time.monotonic() - ran}, str(home.artifact(log, ".log")),
    )  # fmt: skip


def _prepare(
    engine: WholeMachine, harness: Image, kernel: Image, operator: Operator, chosen: InputSet, rng: np.random.Generator,
    shift: int, folder: Path,
) -> Placed:  # fmt: skip
    try:
        placed = place(
            harness, kernel, operator.tensors, chosen.inputs, nonce=secrets.randbits(64), calls=engine.calls,
            dump=engine.dumps_memory, unisolated_is_fine=engine.unisolated_is_fine, rng=rng, shift=shift,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(f"{operator.id} cannot be evaluated by {engine.name}: {error}") from error
    (folder / PROGRAM).write_bytes(placed.program)
    return placed


def _read(
    engine: WholeMachine, placed: Placed, chosen: InputSet, executed: Executed, folder: Path, timeout_s: float
) -> _Case | Judgement:
    """What the machine left; a Judgement where it left nothing because of the kernel."""
    outputs: tuple[dict[str, np.ndarray], ...] = ()
    try:
        if engine.dumps_memory:
            report, outputs = read_dump(folder / DUMP, placed, executed.console)
        else:
            report = read_console(executed.console, placed)
    except ValueError as error:
        raise EngineFailure(f"what {engine.name} left cannot be read: {error}") from error
    except NoReport as missing:
        return _without_report(engine, chosen, executed, missing.begun, timeout_s)
    if report.state == "not isolated":
        raise EnvironmentLackError(
            f"the machine that {engine.name} simulates has no memory protection, so a kernel could use the simulator's "
            f"host interface; set {UNISOLATED_VARIABLE}=1 to run kernels that you trust"
        )
    return _Case(chosen, placed, executed, report, outputs)


def _without_report(
    engine: WholeMachine, chosen: InputSet, executed: Executed, begun: bool, timeout_s: float
) -> Judgement:
    """The kernel is at fault exactly when it had been called."""
    said = "\n".join(line for line in executed.console.splitlines() if not line.startswith(BEGUN))
    words = said.strip()[-_WORDS_SHOWN:]
    if executed.timed_out and begun:
        return Judgement(
            "timed_out", f"stopped after {timeout_s:.0f} s on {engine.name}, in the kernel, with the {chosen.name!r} "
            "inputs: an endless loop, a deadlock of the accelerator, or far too slow",
        )  # fmt: skip
    if executed.timed_out and not engine.console_while_running:
        raise EngineFailure(
            f"{engine.name} did not end within {timeout_s:.0f} s and shows only afterwards what the machine printed: "
            "either the kernel does not end (another engine can tell), or the engine hangs"
        )
    if executed.timed_out:
        raise EngineFailure(
            f"{engine.name} did not get as far as the kernel within {timeout_s:.0f} s; allow it more. "
            f"It printed: {words!r}"
        )
    if not begun:
        raise EngineFailure(f"{engine.name} ended with status {executed.returncode} before the kernel ran: {words!r}")
    fault = Fault(kind="engine_stopped", message=words or "it printed nothing")
    return Judgement(
        "crashed", f"{engine.name} stopped (status {executed.returncode}) while the kernel ran with the "
        f"{chosen.name!r} inputs: {words}", fault,
    )  # fmt: skip


def _fault(report: Report) -> SimulatedFault:
    what = _WHAT.get(report.cause, f"trap {report.cause}")
    nearby = f", address {report.value:#x}" if report.value and report.cause != 8 else ""
    if report.cause == 2:  # the value is the instruction, where the core tells it
        what = "the accelerator refused a command" if report.value & 0x7F == 0x7B else what
        nearby = f" {report.value:#010x}" if report.value else ""
    message = f"{what}{nearby} (pc {report.pc:#x})"
    kind = _KINDS.get(report.cause, "illegal_address")
    return SimulatedFault(kind=kind, message=message, pc=report.pc, call=len(report.calls) + 1)


def _judged(
    engine: WholeMachine,
    problem: Problem,
    operator: Operator,
    cases: Sequence[_Case],
    expected: Sequence[Mapping[str, np.ndarray]],
) -> Judgement:
    sets = [case.chosen for case in cases]
    if engine.dumps_memory:
        wrong = compared(operator, sets, expected, [case.outputs for case in cases])
    else:
        wrong = _summaries_compared(cases, expected)
    return wrong or _timed(engine, problem, cases)


def _summaries_compared(cases: Sequence[_Case], expected: Sequence[Mapping[str, np.ndarray]]) -> Judgement | None:
    for case, outputs in zip(cases, expected, strict=True):
        right = outputs[case.placed.output.name]
        groups = expected_groups(right, case.placed.nonce)
        for number, call in enumerate(case.report.calls):
            bad = int((call.groups != groups).sum())
            if bad:
                return Judgement(
                    "wrong_result", f"{bad} of {GROUPS} stretches of {case.placed.output.name} are wrong with the "
                    f"{case.chosen.name!r} inputs (call {number + 1}; of the output only hashes and single bytes are "
                    "read back: gemsim tells more)",
                    mismatches=sampled(case.placed, call, right),
                )  # fmt: skip
    return None


def sampled(placed: Placed, call: CallReport, right: np.ndarray) -> tuple[Mismatch, ...]:
    """Elements with a wrong byte among those read back; what was not read back of them counts as right."""
    expected = right.ravel()
    got = expected.copy()
    got.view(np.uint8)[list(placed.samples)] = call.samples
    wrong = np.flatnonzero((got.view(np.uint8) != expected.view(np.uint8)).reshape(expected.size, -1).any(axis=1))
    return tuple(
        Mismatch(
            output=placed.output.name,
            index=tuple(int(i) for i in np.unravel_index(at, right.shape)),
            got=float(got[at]) if np.isfinite(got[at]) else None,
            expected=float(expected[at]),
        )
        for at in wrong[:8]
    )


def _timed(engine: WholeMachine, problem: Problem, cases: Sequence[_Case]) -> Judgement:
    """Of the first case. Instructions are only counted; cycles are held against the bound."""
    calls = cases[0].report.calls
    cycles = engine.unit == "cycles"
    values = [call.cycles if cycles else call.instret for call in calls]
    bound = problem.bound
    if cycles and bound is not None and min(values) < bound.value:
        return Judgement(
            "rejected", f"{min(values)} cycles are fewer than the hardware can need ({bound.reason}): the work was not "
            "done in the timed call",
        )  # fmt: skip
    sets = ", ".join(case.chosen.name for case in cases)
    message = f"correct on {engine.name} ({sets}); {values[0]} {engine.unit}"
    message += " (measured)" if cycles else ", which are not cycles"
    if not all(case.report.isolated for case in cases):
        message += "; the machine did not keep the kernel from the harness"
    latency = Latency(value=values[0], unit=engine.unit, statistic=engine.statistic)
    warm = None
    if len(values) > 1:
        warm = latency.model_copy(update={"value": values[1], "statistic": engine.statistic.replace("first", "second")})
    utilisation = bound.value / values[0] if cycles and bound is not None else None
    return Judgement("passed", message, latency=latency, warm_latency=warm, utilisation=utilisation)


def _counters(engine: WholeMachine, cases: Sequence[_Case]) -> dict[str, int | None]:
    """Of the first call of the first case; on an engine without time, cycles are not known."""
    if not cases or not cases[0].report.calls:
        return {}
    call = cases[0].report.calls[0]
    return {"instret": call.instret, "cycles": call.cycles if engine.unit == "cycles" else None}


def _shortened(text: str) -> str:
    if len(text) <= LOG_HEAD + LOG_TAIL:
        return text
    return f"{text[:LOG_HEAD]}\n... {len(text) - LOG_HEAD - LOG_TAIL} characters left out ...\n{text[-LOG_TAIL:]}"
