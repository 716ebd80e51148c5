"""timeline://{digest}: what each unit did over a kernel's call, short enough for a model to read."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..hardware_adapters.base import HardwareAdapter, Problem, Profile, UsageError

WINDOWS = 64
TICKS = {"cycles": 1, "ns": 1000}  # of the latency's unit in a microsecond of the trace
WAITS = ("queue full", "fence")  # what the CPU's track shows while it stands
_LANE = re.compile(r" \d+$")  # a unit that does several things at once has a track for each: load, load 2


class NoTimelineError(UsageError):
    """The kernel has none: it does not pass, or its engine makes none."""


async def timeline_text(adapter: HardwareAdapter, problem: Problem, source: str, *, timeout_s: float) -> str:
    """JSON of the timed call in at most 64 windows. Raises NoTimelineError, and as HardwareAdapter.profile."""
    with tempfile.TemporaryDirectory(prefix="autocomp-timeline-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "timeline.json"
        result = await adapter.profile(problem, source, timeline=file, timeout_s=timeout_s)
        if not isinstance(result, Profile):
            raise NoTimelineError(f"the kernel does not pass: {result.verdict}: {result.message}")
        if not file.is_file():
            raise NoTimelineError(f"engine {result.engine!r} makes no timeline")
        events = json.loads(file.read_text())
    shown = {
        "problem": problem.id,
        "kernel": result.kernel,
        "engine": result.engine,
        "source": result.source,
        "latency": result.latency.value,
        "unit": result.latency.unit,
        **summarised(events, int(result.latency.value), TICKS[result.latency.unit]),
        "bottlenecks": [found.id for found in result.bottlenecks],
    }
    return json.dumps(shown, separators=(",", ":")).replace(',"', ',\n"') + "\n"


def summarised(events: Sequence[dict[str, Any]], length: int, ticks: int = 1) -> dict[str, Any]:
    """Of Chrome trace events over `length` units of time, `ticks` to a microsecond of the trace: in each window the
    percent in which a thread was busy, or waited, and the average of each counter."""
    import numpy as np

    events = [_in_ticks(event, ticks) for event in events]
    window = max(1, -(-length // WINDOWS))
    edges = np.minimum(np.arange(-(-length // window) + 1) * window, length)
    named = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    threads = {tid: _LANE.sub("", name) for tid, name in named.items()}

    def average(steps: Sequence[tuple[float, float]]) -> np.ndarray:
        """Over each window, of a quantity that changes to a value at a time."""
        times, values = np.array([(0.0, 0.0), *sorted(steps), (max(length, *edges), 0.0)]).T
        integral = np.concatenate([[0.0], np.cumsum(np.diff(times) * values[:-1])])
        return np.diff(np.interp(edges, times, integral)) / np.diff(edges)

    def percent(spans: Sequence[dict[str, Any]]) -> list[int]:
        changes = sorted((at, by) for e in spans for at, by in ((e["ts"], 1), (e["ts"] + e["dur"], -1)))
        running = np.cumsum([by for _, by in changes])
        steps = [(at, float(level > 0)) for (at, _), level in zip(changes, running, strict=True)]
        return [round(100 * share) for share in average(steps)]

    spans = [e for e in events if e["ph"] == "X"]
    counters = sorted({e["name"] for e in events if e["ph"] == "C"})
    busy: dict[str, list[dict[str, Any]]] = {name: [] for name in threads.values()}
    for event in spans:
        if event["name"] not in WAITS and event["tid"] in threads:
            busy[threads[event["tid"]]].append(event)
    waiting = {name: [e for e in spans if e["name"] == name] for name in WAITS}
    return {
        "window": window,
        "busy_percent": {name: percent(found) for name, found in busy.items() if found},
        "waiting_percent": {name: percent(found) for name, found in waiting.items() if found},
        "average": {
            name: [
                round(level)
                for level in average(
                    [(e["ts"], next(iter(e["args"].values()))) for e in events if e["name"] == name]
                )
            ]
            for name in counters
        },
    }  # fmt: skip


def _in_ticks(event: dict[str, Any], ticks: int) -> dict[str, Any]:
    return event | {name: event[name] * ticks for name in ("ts", "dur") if name in event}
