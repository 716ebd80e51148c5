"""A schedule as Chrome trace events, for Perfetto. A microsecond of the trace is a nanosecond of the kernel."""

from __future__ import annotations

import json
from pathlib import Path

from .machine import Machine
from .schedule import Schedule

TRACKS = ("pe", "vector", "scalar", "gpsimd", "load", "store")
MAX_EVENTS = 200_000


def write_timeline(schedule: Schedule, machine: Machine, path: Path) -> None:
    """Of a kernel with more than MAX_EVENTS instructions the first ones."""
    events = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": track}}
        for number, track in enumerate(TRACKS)
    ]
    pairs = list(zip(machine.log, schedule.slots, strict=True))[:MAX_EVENTS]
    for instruction, slot in pairs:
        track = instruction.engine
        if track == "dma":
            track = "load" if machine.allocations[instruction.writes[0].storage].space == "sbuf" else "store"
        arguments = {"line": instruction.line, "shape": list(instruction.shape), "dtype": instruction.dtype}
        if instruction.bytes:
            arguments["bytes"] = instruction.bytes
        if slot.cause:
            arguments |= {"waited_for": slot.cause.removeprefix("wait_"), "waited_ns": round(slot.waited)}
        events.append(
            {
                "ph": "X", "name": instruction.name, "pid": 1, "tid": TRACKS.index(track), "ts": round(slot.start, 1),
                "dur": round(slot.end - slot.start, 1), "args": arguments,
            }
        )  # fmt: skip
    path.write_text(json.dumps(events))
