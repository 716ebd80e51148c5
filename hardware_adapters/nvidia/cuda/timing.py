"""From trials to a latency: median and spread, whether the clock was cheated, the ratio to the kernel timed beside."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from .job import Report, Trial

# What the host's part of stopping the clock may take above that of an empty call, and relative to the call.
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

    The device is waited for after every call: what ran on another stream, or was started later, shows there.
    """
    stop_ns = statistics.median(call.device_ns - call.stream_ns for call in report.empty)
    host_ns = statistics.median(call.wall_ns - call.device_ns for call in report.empty)

    def late(trial: Trial) -> bool:
        allowed = SLACK_NS + SLACK * trial.stream_ns
        return (
            trial.device_ns - trial.stream_ns - stop_ns > allowed or trial.wall_ns - trial.device_ns - host_ns > allowed
        )

    found = [trial for trial in report.of(0) if late(trial)]
    if 2 * len(found) <= len(report.of(0)):  # a busy host delays single calls
        return None
    worst = max(found, key=lambda trial: trial.wall_ns)
    return (
        f"in {len(found)} of {len(report.of(0))} calls the device or the host was busy longer than the stream passed "
        f"to launch(): {worst.stream_ns:,.0f} ns on the stream, {worst.device_ns:,.0f} ns until the device was idle, "
        f"{worst.wall_ns:,.0f} ns by the host's clock. Enqueue all work on that stream"
    )
