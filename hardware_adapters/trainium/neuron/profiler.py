"""The profiler of the Neuron SDK: executions of a compiled kernel on the device, timed by the hardware.

`neuron-explorer` and the older `neuron-profile` take the same `capture` and `view`. No Python of the kernel is in
these processes: what is timed is the compiled file alone.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...base import EngineFailure
from ...process import Limits, run
from ...sandbox import devices
from ...sandbox.reach import installation

WARM_UPS, TIMED = 2, 10
TRACE = "profile"
_EXECUTION = re.compile(rf"{TRACE}.*_exec_(\d+)\.ntff")
_TRACE_BYTES = 5 << 30
LONGEST_S = 1e6  # no kernel runs for eleven days


class Timing(NamedTuple):
    """Of single executions on the device, in ns, in the order in which they ran; `summary` is of the last one."""

    executions_ns: tuple[float, ...]
    summary: Mapping[str, Any]

    @property
    def p50(self) -> float:
        return statistics.median(self.executions_ns)

    @property
    def p99(self) -> float:
        """Nearest rank: of ten executions the slowest."""
        ordered = sorted(self.executions_ns)
        return ordered[math.ceil(0.99 * len(ordered)) - 1]

    @property
    def spread(self) -> float:
        first, _, third = statistics.quantiles(self.executions_ns, n=4, method="inclusive")
        return third - first


async def timed(tool: Path, neff: Path, environment: Mapping[str, str], within_s: float) -> Timing:
    """Warm-ups, then at least TIMED executions. Raises EngineFailure."""
    folder = neff.parent
    durations: list[float] = []
    summary: Mapping[str, Any] = {}
    count, nth = WARM_UPS + TIMED, 1
    for attempt in range(TIMED + 1):
        where = folder / f"capture-{attempt}"
        where.mkdir()
        command = [tool, "capture", "-n", neff, "-s", where / f"{TRACE}.ntff", "--num-exec", str(count)]
        await _run([*command, "--profile-nth-exec", str(nth)], folder, environment, within_s, "capture")
        for trace in _steady(where)[: TIMED - len(durations)]:
            view = [tool, "view", "-n", neff, "-s", trace, "--output-format", "summary-json"]
            summary = parse_summary(await _run(view, folder, environment, within_s, "view"))
            durations.append(total_ns(summary))
        if len(durations) >= TIMED:
            return Timing(tuple(durations), summary)
        # A profiler that keeps one execution of a capture is asked again, for the one after the warm-ups.
        count = nth = WARM_UPS + 1
    raise EngineFailure(f"{tool.name} capture recorded {len(durations)} executions of the {TIMED} that were asked for")


def _steady(folder: Path) -> list[Path]:
    """Traces of executions after the warm-ups, in their order."""
    numbered = [(int(found[1]), path) for path in folder.glob("*.ntff") if (found := _EXECUTION.fullmatch(path.name))]
    return [path for number, path in sorted(numbered) if number > WARM_UPS]


async def _run(command: list[Any], folder: Path, environment: Mapping[str, str], within_s: float, what: str) -> str:
    limits = Limits(
        wall_s=within_s, file_bytes=_TRACE_BYTES, memory_bytes=None, output_bytes=4 << 20,
        processors=os.cpu_count() or 1,
    )  # fmt: skip
    name = Path(command[0]).name
    try:
        reach = devices("neuron*", read=installation(Path(command[0])))
        finished = await run(command, cwd=folder, env=environment, limits=limits, reach=reach)
    except OSError as error:
        raise EngineFailure(f"{name} cannot be started: {error}") from error
    if finished.timed_out:
        raise EngineFailure(f"{name} {what} did not end within {within_s:.0f} s")
    if finished.returncode:
        said = (finished.stderr.strip() or finished.stdout.strip())[-600:]
        raise EngineFailure(f"{name} {what} was refused with status {finished.returncode}: {said or 'it said nothing'}")
    return finished.stdout


def parse_summary(text: str) -> dict[str, Any]:
    """The metrics of the only kernel in a summary-json: an object under the compiled file's name, between log lines.
    Raises EngineFailure."""
    for candidate in (text, *(line for line in text.splitlines() if line.lstrip().startswith("{"))):
        try:
            data = json.loads(candidate)
        except (ValueError, RecursionError):  # also numbers of thousands of digits
            continue
        if not isinstance(data, dict):
            continue
        found = data if "total_time" in data else next(iter(data.values()), None)
        if isinstance(found, dict) and "total_time" in found:
            return found
    raise EngineFailure(f"the profiler's summary has no total_time: {' '.join(text.split())[:300] or 'it is empty'}")


def total_ns(summary: Mapping[str, Any]) -> float:
    """`total_time` is in seconds. Raises EngineFailure for what cannot be a time."""
    value = summary["total_time"]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < LONGEST_S:
        raise EngineFailure(f"the profiler's total_time is {value!r:.80}, which is no time")
    return value * 1e9
