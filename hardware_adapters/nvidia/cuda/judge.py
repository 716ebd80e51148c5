"""From what the runner reports to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...base import EngineFailure, Fault, Latency
from ...simulating import Judgement
from ..judge import Case, compared
from ..machines import Machine
from ..operators import InputSet, Operator, Right, bound, floor_ns
from .job import Job, Report
from .looks import judged_calls, wrong_calls
from .native import Task
from .timing import BELOW_BOUND, against, hidden_work, latency

# Errors of the device that no kernel brings about, as the CUDA runtime's reference describes them.
OF_THE_MACHINE = {
    "cudaErrorECCUncorrectable": "its memory has an error that ECC cannot correct",
    "cudaErrorNvlinkUncorrectable": "its NVLink has an error that cannot be corrected",
    "cudaErrorDevicesUnavailable": "it is busy, or in a compute mode that lets nobody else work",
    "cudaErrorNoDevice": "it is gone",
    "cudaErrorInitializationError": "the driver cannot be initialised",
    "cudaErrorSystemNotReady": "the driver is not ready",
    "cudaErrorSystemDriverMismatch": "driver and libraries are of different versions",
    "cudaErrorInsufficientDriver": "the driver is older than the toolkit wants",
    "cudaErrorUnsupportedPtxVersion": "the driver is older than the toolkit wants",
    "cudaErrorNoKernelImageForDevice": "the kernel was compiled for another one",
}


def judge(
    given: Task, expected: Sequence[Mapping[str, Right]], folder: Path, report: Report, device: Machine
) -> Judgement:
    """`expected`: of the task's sets. Raises EngineFailure."""
    operator, sets, job, _ = given
    if report.fault is not None:
        return _faulted(report, sets)
    if not report.ended:
        return _broken_off(report, sets)
    for number, (chosen, right) in enumerate(zip(sets, expected, strict=True)):
        outputs = job.outputs(folder, number)
        shaped = {name: outputs[name].reshape(values.values.shape) for name, values in right.items()}
        if (wrong := compared(operator, Case(chosen.name, 0), right, shaped)) is not None:
            return wrong
    if job.mode != "time":
        return Judgement("passed", f"correct on {len(sets)} input sets")
    if (found := _left_out(given, folder, report)) is not None:
        return found
    if (hidden := hidden_work(report)) is not None:
        return Judgement("rejected", hidden)
    return _timed(operator, job, report, device)


def _where(report: Report, sets: Sequence[InputSet]) -> str:
    return f"inputs {sets[report.checked].name!r}" if report.checked < len(sets) else "a timed call"


def _faulted(report: Report, sets: Sequence[InputSet]) -> Judgement:
    assert report.fault is not None
    kind, message = report.fault
    if kind in OF_THE_MACHINE:
        raise EngineFailure(f"the GPU failed: {OF_THE_MACHINE[kind]} ({kind}: {message})")
    if kind == "not_loaded" and "undefined symbol" not in message:
        raise EngineFailure(f"the kernel's shared object cannot be loaded: {message}")
    if kind in ("threads", "not_loaded"):
        return Judgement("rejected", f"{message}: the host code of a kernel only enqueues work")
    if kind == "no_entry":
        return Judgement("compile_error", message)
    text = f"{kind.replace('_', ' ')}: {message} ({_where(report, sets)}); the engine cpu tells the line"
    return Judgement("crashed", text, Fault(kind=kind, message=message, call=report.checked + 1))


def _broken_off(report: Report, sets: Sequence[InputSet]) -> Judgement:
    message = f"the process ended before the runner did ({_where(report, sets)}): launch() returns, and calls no exit"
    return Judgement("crashed", message, Fault(kind="process_ended", message=message, call=report.checked + 1))


def _left_out(given: Task, folder: Path, report: Report) -> Judgement | None:
    """Whether timed calls do all of the work too."""
    import numpy as np

    calls = judged_calls(given.operator, given.looked, np.random.default_rng())
    wrong = wrong_calls(given.operator, given.job, given.looked, calls, folder, report)
    if not wrong:
        return None
    text = (
        f"the first calls are right, but {len(wrong)} of {len(calls)} timed calls are not, first call {wrong[0] + 1}: "
        "every call has inputs of its own and has to do all of the work, whatever the calls before it did"
    )
    return Judgement("wrong_result", text)


def _timed(operator: Operator, job: Job, report: Report, device: Machine) -> Judgement:
    spread = latency(report)
    least, floor = bound(operator, device), floor_ns(operator, device)
    if spread.median < BELOW_BOUND * floor:
        text = (
            f"{spread.median:,.0f} ns is less than {device.title} needs for the problem by its peak rates "
            f"({floor:,.0f} ns): the work is not done in the time that was measured"
        )
        return Judgement("rejected", text)
    utilisation = min(1.0, least.value / spread.median)
    ratio = against(report)
    beside = ""
    if ratio is not None:
        certain = "" if ratio.certain else ", which is within the noise"
        beside = f"; {ratio.median:.2f}x the speed of the kernel timed beside it ({ratio.low:.2f} to {ratio.high:.2f})"
        beside += certain
    message = (
        f"correct on {len(job.cases)} input sets; {spread.median / 1000:.1f} us on {device.title} (measured, "
        f"interquartile range {100 * spread.range / spread.median:.1f} %), {100 * utilisation:.1f} % of the bound"
        f"{beside}"
    )
    calls = len(report.of(0))
    found = Latency(
        value=round(spread.median, 1),
        unit="ns",
        statistic=f"median of {calls} calls, caches emptied before each, by events",
        spread=round(spread.range, 1),
    )
    return Judgement("passed", message, latency=found, utilisation=utilisation)
