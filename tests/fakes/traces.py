"""The rules of Chrome's trace event format, kept to strictly: a viewer is silent about what it drops.

They are those of the format's document ("Trace Event Format") for the events that we write: complete events (X), begin
and end (B, E), counters (C), instants (i) and metadata (M).
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

METADATA = {
    "process_name": "name",
    "thread_name": "name",
    "thread_sort_index": "sort_index",
    "process_sort_index": "sort_index",
}


def read_trace(path: Path) -> list[dict[str, Any]]:
    """Strict JSON: no NaN, no key twice."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs), f"a key twice: {pairs}"
        return dict(pairs)

    events = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse, object_pairs_hook=once)
    assert isinstance(events, list) and events, "an array of events"
    return events


def number(value: Any) -> float:
    assert isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value), value
    return float(value)


def check_trace(path: Path) -> list[dict[str, Any]]:
    """The events, none of which breaks a rule."""
    events = read_trace(path)
    named: dict[tuple[int, int], str] = {}
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    counters: dict[tuple[int, str], list[float]] = defaultdict(list)
    for event in events:
        kind, name, pid = event["ph"], event["name"], event["pid"]
        assert isinstance(name, str) and name and isinstance(pid, int), event
        assert isinstance(event.get("args", {}), dict), event
        if kind == "M":
            value = event["args"][METADATA[name]]
            assert isinstance(value, str) and value if METADATA[name] == "name" else isinstance(value, int), event
            if name == "thread_name":
                assert (pid, event["tid"]) not in named, f"named twice: {event}"
                named[pid, event["tid"]] = value
            continue
        assert number(event["ts"]) >= 0, event
        if kind == "C":
            assert event["args"] and all(number(value) >= 0 for value in event["args"].values()), event
            counters[pid, name].append(event["ts"])
        elif kind in "XBEi":
            assert isinstance(event["tid"], int), event
            assert kind != "X" or number(event["dur"]) >= 0, event
            assert kind != "i" or event.get("s", "t") in ("g", "p", "t"), event
            if kind != "i":
                tracks[pid, event["tid"]].append(event)
        else:
            raise AssertionError(f"no event that we write: {event}")
    assert set(tracks) <= set(named), "a track without a name"
    for times in counters.values():
        assert times == sorted(times), "a counter goes back in time"
    for key, found in tracks.items():
        _nested(named[key], found)
    return events


def _nested(track: str, events: list[dict[str, Any]]) -> None:
    """Slices follow each other in time, or lie within one another; every B has its E."""
    open_until: list[float] = []
    begun: list[str] = []
    before = -math.inf
    for event in sorted(events, key=lambda e: (e["ts"], -e.get("dur", 0.0))):
        start = event["ts"]
        if event["ph"] == "X":
            end = start + event["dur"]
            while open_until and open_until[-1] <= start + 1e-6:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-6, f"{track}: {event} lies across the end of another"
            open_until.append(end)
    for event in events:
        if event["ph"] in "BE":
            assert event["ts"] >= before, f"{track}: {event} goes back in time"
            before = event["ts"]
            if event["ph"] == "B":
                begun.append(event["name"])
            else:
                assert begun and begun.pop() == event["name"], f"{track}: {event} ends nothing"
    assert not begun, f"{track}: {begun} never end"
