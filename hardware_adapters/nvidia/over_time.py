"""A call as its launches on a time axis, and its place under the device's roofline: of an estimate, of a measurement.

That is what a profile of a GPU says of time. What units do within a launch is known in sum only, so that a timeline has
it as figures of the launch, not as a course.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..base import Roofline, Span
from ..simulating import deliver
from .estimate import Estimate
from .machines import Machine
from .operators import Operator

MAX_SPANS = 24
LAUNCH = "launch"


def roofline(
    operator: Operator, latency_ns: float, device: Machine, *, dram: float | None, l2: float | None = None
) -> Roofline | None:
    """Work is the operator's least floating-point work; `dram`, `l2`: bytes that moved there. None: not known."""
    if not operator.flops or not dram:
        return None
    unit = "TF32" if operator.tensor_cores else "FP32"
    peak = device.tf32_flops_per_ns if operator.tensor_cores else device.fp32_flops_per_ns
    peaks = {unit: round(peak, 1)}
    if operator.tensor_cores:
        peaks["FP32"] = round(device.fp32_flops_per_ns, 1)
    moved = {name: size for name, size in (("DRAM", dram), ("L2", l2)) if size}
    rates = {"DRAM": device.dram_rate, "L2": device.l2_rate}
    allowed = {unit: peak} | {name: operator.flops / size * rates[name] for name, size in moved.items()}
    bound = min(allowed, key=lambda name: allowed[name])
    return Roofline(
        intensity=_rounded(operator.flops / dram),
        ridge=round(peak / device.dram_rate, 2),
        attainable=round(allowed[bound], 1),
        achieved=round(operator.flops / max(1.0, latency_ns), 1),
        bound=bound,
        work="flops",
        time="ns",
        peaks=peaks,
        memories={name: rates[name] for name in moved},
        intensities={name: _rounded(operator.flops / size) for name, size in moved.items()},
    )


def _rounded(intensity: float) -> float:
    """A copy with an addition has a twelfth of an operation per byte."""
    return float(f"{intensity:.4g}")


def launches(found: Estimate, machine: Machine) -> list[Span]:
    """In order of the stream: each launch's fixed cost, then the kernel; ns of the estimate. What cudaMemsetAsync takes
    is in the estimate's sum only, and so is what raises it to the bound: neither is shown."""
    made: list[Span] = []
    at = 0.0
    for launch in found.launches:
        counts = launch.counts
        made.append(Span(name=LAUNCH, start=round(at, 1), duration=round(machine.launch_ns, 1)))
        at += machine.launch_ns
        detail = {"blocks": float(counts.blocks), "threads_per_block": float(counts.threads)}
        detail |= {"occupancy_percent": round(100 * launch.residency.occupancy, 1)}
        detail |= {f"{unit}_ns": round(time, 1) for unit, time in launch.units.items()}
        detail |= {"dram_bytes": round(launch.dram_bytes), "l2_bytes": round(launch.l2_bytes)}
        made.append(Span(name=counts.kernel, start=round(at, 1), duration=round(launch.body_ns, 1), detail=detail))
        at += launch.body_ns
    return made


def spans(found: Sequence[Span]) -> tuple[Span, ...]:
    """The first ones, without figures: a call may make thousands of launches."""
    return tuple(span.model_copy(update={"detail": {}}) for span in found[:MAX_SPANS])


def write_timeline(found: Sequence[Span], path: Path, title: str) -> None:
    """Chrome trace events, for Perfetto. Raises EnvironmentLackError."""
    tracks = {True: (1, "launch overhead"), False: (2, "kernels")}
    events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": title}}]
    for launching in sorted({span.name == LAUNCH for span in found}, reverse=True):
        number, name = tracks[launching]
        events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}})
    events += [
        {
            "ph": "X", "name": span.name, "pid": 1, "tid": tracks[span.name == LAUNCH][0],
            "ts": round(span.start / 1000, 4), "dur": round(span.duration / 1000, 4), "args": span.detail,
        }
        for span in found
    ]  # fmt: skip
    deliver(json.dumps(events).encode(), path)
