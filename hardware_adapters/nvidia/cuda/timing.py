"""From trials to a latency: median and spread, whether the clock was cheated, the ratio to the kernel timed beside."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .job import Report

# What looking whether the device is idle may take above that of an empty call, and relative to the call.
SLACK_NS = 20_000.0
SLACK = 0.10
BELOW_BOUND = 0.95  # clocks boost above the nominal rate; nothing is faster than this share of the roofline


class Spread(NamedTuple):
    """Of repeated timings, ns."""

    median: float
    low: float  # quartiles
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @property
    def range(self) -> float:
        return self.high - self.low


class Ratio(NamedTuple):
    """Of the other kernel's latency to this one's, round by round: above 1 this one is faster."""

    median: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether it is above the noise, one way or the other."""
        return self.low > 1.0 or self.high < 1.0

    def rounded(self) -> dict[str, float]:
        return {"speed": round(self.median, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def latency(report: Report) -> Spread:
    return Spread.of([trial.stream_ns for trial in report.of(0)])


def against(report: Report) -> Ratio | None:
    """Trials of both kernels alternate: pairs of neighbours met the same clocks and temperature."""
    pairs = [(ours.stream_ns, theirs.stream_ns) for ours, theirs in zip(report.of(0), report.of(1), strict=False)]
    if len(pairs) < 2:
        return None
    spread = Spread.of([theirs / ours for ours, theirs in pairs])
    return Ratio(spread.median, spread.low, spread.high)


def hidden_work(report: Report) -> str | None:
    """Work that the stream's clock does not see; None where there is none.

    When the stream is done, the device is waited for: what runs on another stream shows there, in each call that has
    it. A busy host may delay calls too, but not the quickest of them; and only the faster half of the calls could have
    lowered the median.
    """
    trials = sorted(report.of(0), key=lambda trial: trial.stream_ns)
    stream_ns = statistics.median(trial.stream_ns for trial in trials)
    late_ns = _quick(trial.late_ns for trial in trials[: len(trials) // 2 + 1])
    late_ns -= _quick(call.late_ns for call in report.empty)
    if late_ns <= SLACK_NS + SLACK * stream_ns:
        return None
    return (
        f"when the stream passed to launch() was done, after {stream_ns:,.0f} ns, the device was busy for another "
        f"{late_ns:,.0f} ns in every call: enqueue all work on that stream"
    )


def _quick(durations: Iterable[float]) -> float:
    """A tenth of them is shorter."""
    ordered = sorted(durations)
    return ordered[len(ordered) // 10]
