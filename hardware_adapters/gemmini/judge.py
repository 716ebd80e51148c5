"""From what the simulator reports to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..base import Fault, Latency, Problem
from ..checking import Check, compare
from ..simulating import Judgement
from .calibration import calibration
from .gemsim import POISON, Case, JobCase, Results, SimulatedFault, set_of
from .operators import ARRAY_EDGE, Operator
from .toolchain import Compiled

if TYPE_CHECKING:
    import numpy as np

    from .operators import InputSet


def judge(
    problem: Problem,
    operator: Operator,
    sets: Sequence[InputSet],
    cases: Sequence[JobCase],
    expected: Sequence[Mapping[str, np.ndarray]],
    results: Results,
    kernel: Path,
    source: str,
    source_name: str,
) -> Judgement:
    """Every call of every case counts: a fault or a wrong element anywhere fails the kernel."""
    for case in results.answer.cases:
        if case.fault is not None:
            return faulted(case.name, case.fault, kernel, source, source_name)
    wrong = compared(operator, sets, expected, results.outputs, set_of)
    return wrong or _timed(problem, operator.configuration, results.answer.cases[0])


class _Wrong(NamedTuple):
    chosen: InputSet
    call: int
    output: str
    got: np.ndarray
    expected: np.ndarray
    check: Check


def compared(
    operator: Operator,
    sets: Sequence[InputSet],
    expected: Sequence[Mapping[str, np.ndarray]],
    outputs: Sequence[Sequence[Mapping[str, np.ndarray]]],
    set_of: Callable[[int, int, int], int] = lambda case, call, sets: case,
) -> Judgement | None:
    """What is wrong with the outputs (per case, of every call, by name), or None; `set_of` says on which data a call of
    a case was made, of how many sets."""
    edge = ARRAY_EDGE[operator.configuration]
    wrong: list[_Wrong] = []
    for case, calls in enumerate(outputs):
        for call, left in enumerate(calls):
            number = set_of(case, call, len(sets))
            chosen, right = sets[number], expected[number]
            for name, got in left.items():
                check = compare(name, got, right[name], POISON[call % 2], edge, operator.closeness)
                if not check.passed:
                    wrong.append(_Wrong(chosen, call, name, got, right[name], check))
    return _wrong_result(operator, wrong, len(sets)) if wrong else None


def faulted(case: str, said: SimulatedFault, kernel: Path, source: str, source_name: str) -> Judgement:
    """The kernel was stopped in this case for this reason."""
    from .debug_info import LineTable

    line = LineTable(kernel, source_name).line(said.pc)
    instruction = said.instruction or None
    fault = Fault(kind=said.kind, message=said.message, instruction=instruction, line=line, call=said.call)
    place = f"; call {said.call} with the {case!r} inputs"
    if line is not None:
        text = source.split("\n")[line - 1].strip() if line <= source.count("\n") + 1 else ""
        place += f", line {line}: {text[:120]}"
    if said.kind == "endless_loop":
        return Judgement("timed_out", f"endless loop, or far too slow: {said.message}{place}", fault)
    return Judgement("crashed", f"{said.kind.replace('_', ' ')}: {said.message}{place}", fault)


def _wrong_result(operator: Operator, wrong: list[_Wrong], sets: int) -> Judgement:
    """The last failing set explains best: its outputs stay in range, so that wrong sums show as themselves."""
    from .diagnosis import explain_mistake

    last = wrong[-1]
    check = last.check
    failing = {entry.chosen.name for entry in wrong}
    message = f"{check.wrong} of {check.total} elements of {last.output} are wrong with the {last.chosen.name!r} inputs"
    if all(entry.call > 0 for entry in wrong):
        message += " in the second call only: the kernel relies on what an earlier call left"
    elif len(failing) < sets:
        message += f" (right with {sets - len(failing)} of {sets} input sets)"
    reason = explain_mistake(operator, last.chosen, last.output, last.got, last.expected) or check.hint
    if reason:
        message += f"; {reason}"
    return Judgement("wrong_result", message, mismatches=check.mismatches, wrong_elements=check.wrong)


def _timed(problem: Problem, configuration: str, case: Case) -> Judgement:
    cycles = [call.cycles or 0 for call in case.calls]
    cold, bound = cycles[0], problem.bound
    if bound is not None and min(cycles) < bound.value:
        message = (
            f"{min(cycles)} cycles are fewer than the hardware can need ({bound.reason}): the work was not done "
            "in the timed call"
        )
        return Judgement("rejected", message)
    known = calibration(configuration)
    error = known.median_error_percent
    latency = Latency(value=cold, unit="cycles", statistic="first call, cold memory system", error_percent=error)
    warm_latency = None
    if len(cycles) > 1:
        warm_latency = latency.model_copy(update={"value": cycles[1], "statistic": "second call, warm caches"})
    utilisation = None if bound is None else bound.value / cold
    message = f"correct on all input sets; {cold} cycles (estimated)"
    if utilisation is not None:
        message += f", {100 * utilisation:.1f} % of the array's peak"
    if error is None:
        message += f". {known.trust}"
    return Judgement("passed", message, latency=latency, warm_latency=warm_latency, utilisation=utilisation)


def not_compiled(compiled: Compiled) -> Judgement:
    """Of a kernel that gave no program."""
    if compiled.refused:
        return Judgement("rejected", compiled.refused)
    errors = [d for d in compiled.compilation.diagnostics if d.severity == "error"]
    first = f": line {errors[0].line}: {errors[0].message}" if errors and errors[0].line else ""
    if errors and not first:
        first = f": {errors[0].message}"
    return Judgement("compile_error", f"the kernel does not compile ({len(errors)} errors){first}")
