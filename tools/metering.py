"""What evaluations cost this server, as OpenTelemetry metrics: no-ops until somebody sets up its SDK
(server/serving/telemetry.py)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics, trace

from ..hardware_adapters.base import Evaluation, Problem

_meter = metrics.get_meter("autocomp_mcp")
_tracer = trace.get_tracer("autocomp_mcp")
_evaluations = _meter.create_counter(
    "autocomp.evaluations", "{evaluation}", "Kernels judged, by target, engine, verdict, and whether from the cache"
)
_seconds = _meter.create_histogram(
    "autocomp.evaluation.duration", "s", "Of those that were worked out, the wait for a turn included",
    explicit_bucket_boundaries_advisory=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 300, 1800),
)  # fmt: skip
_failures = _meter.create_counter(
    "autocomp.evaluation.failures", "{failure}", "Evaluations that ended without a verdict: the machine's fault"
)
_waiting = _meter.create_up_down_counter("autocomp.evaluations.waiting", "{evaluation}", "Of those, without a turn yet")
_running = _meter.create_up_down_counter("autocomp.evaluations.running", "{evaluation}", "Of those, at work")


def recalled(evaluation: Evaluation, problem: Problem) -> None:
    """Answered from the cache."""
    _count(evaluation, problem, cached=True)


class Judging:
    """Of one kernel; `evaluation` is to be set."""

    evaluation: Evaluation | None = None


@contextmanager
def judging(problem: Problem) -> Iterator[Judging]:
    """While a kernel is worked out."""
    judged, began = Judging(), time.monotonic()
    with _tracer.start_as_current_span("evaluate", attributes={"autocomp.problem": problem.id}) as span:
        try:
            yield judged
        finally:
            if judged.evaluation is None:
                _failures.add(1, {"target": problem.target})
            else:
                told = _count(judged.evaluation, problem, cached=False)
                _seconds.record(time.monotonic() - began, told)
                span.set_attributes({f"autocomp.{name}": value for name, value in told.items()})


def _count(evaluation: Evaluation, problem: Problem, *, cached: bool) -> dict[str, str]:
    told = {"target": problem.target, "engine": evaluation.engine, "verdict": evaluation.verdict}
    _evaluations.add(1, told | {"cached": str(cached).lower()})
    return told


def waits(more: int) -> None:
    _waiting.add(more)


def works(more: int) -> None:
    _running.add(more)
