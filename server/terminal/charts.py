"""Bars and curves of characters: blocks, or ASCII where the terminal's encoding has none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import IO, NamedTuple


class Characters(NamedTuple):
    full: str
    empty: str
    heights: str  # from nothing to all of it
    waits: str
    more: str
    gap: str  # between lines that are not neighbours
    rule: str
    eighths: str  # what is left of a bar beyond its full blocks, from the least on; none: whole blocks only


BLOCKS = Characters("█", "·", " ▁▂▃▄▅▆▇█", "░", "…", "⋮", "│", "▏▎▍▌▋▊▉")
ASCII = Characters("#", ".", " .:-=+*%#", "-", "...", ":", "|", "")


def characters(stream: IO[str]) -> Characters:
    """What this stream can carry."""
    try:
        "".join(BLOCKS).encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def bar(share: float, width: int, chars: Characters = BLOCKS, *, trough: bool = True) -> str:
    """`width` columns, of which the share is filled; with anything at all at least a sliver."""
    cells = max(0.0, min(1.0, share)) * width
    full = int(cells) if chars.eighths else round(cells)
    part = chars.eighths[math.floor((cells - full) * 8) - 1] if chars.eighths and (cells - full) * 8 >= 1 else ""
    drawn = chars.full * full + part
    if share > 0 and not drawn:
        drawn = (chars.eighths or chars.full)[0]
    return drawn + (chars.empty if trough else " ") * (width - len(drawn))


def curve(values: Sequence[float], width: int, chars: Characters = BLOCKS, *, low: float | None = None) -> str:
    """A character per value, or, of more than fit, the last one of each stretch.
    `low`: what the lowest height means."""
    if not values:
        return ""
    if len(values) > width:
        values = [values[(column + 1) * len(values) // width - 1] for column in range(width)]
    bottom = min(values) if low is None else low
    span = max(values) - bottom
    heights = chars.heights[1:]
    return "".join(
        heights[min(len(heights) - 1, round((v - bottom) / (span or 1) * (len(heights) - 1)))] for v in values
    )


def levels(values: Sequence[int], capacity: int, chars: Characters = BLOCKS) -> str:
    """A character per value: its share of the capacity, a sliver for anything at all."""
    heights = chars.heights
    return "".join(heights[min(len(heights) - 1, -(-value * (len(heights) - 1) // capacity))] for value in values)
