"""A kernel's source with the time of each line beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from rich.text import Text

from ...hardware_adapters.base import DetailedProfile, Profile
from ..inert import code_lines
from .charts import Characters, bar
from .figures import hanging

MATTERS = 0.01  # of the time of all lines
MOST_LINES = 20  # with their neighbours, unless all are asked for
BAR = 8
NARROW = 80

Lines = list[Text | str]


def source_lines(profile: Profile, source: str, everything: bool, width: int, chars: Characters) -> Lines:
    """The lines that matter, each with its neighbours; with `everything` the whole source."""
    times = {cost.line: cost.cycles for cost in profile.lines}
    if not times:
        return [*hanging(f"source: engine {profile.engine} tells no times of lines", width, 2)]
    total = max(1, sum(times.values()))
    text = code_lines(source)
    costly = _costly(times, total)
    shown = set(range(1, len(text) + 1)) if everything else {n for line in costly for n in (line - 1, line, line + 1)}
    mean = profile.lines_mean if isinstance(profile, DetailedProfile) else f"{profile.latency.unit} of each line"
    lines: Lines = [Text("source", "bold"), *hanging(f"  {profile.source}: {mean}", width, 2)]
    lines += _rows(text, times, total, shown, width, chars)
    untold = len(times) - len(times.keys() & shown)
    if not everything:
        share = sum(times[line] for line in times.keys() & shown) / total
        more = f", {untold} more lines take time" if untold else ""
        lines += hanging(f"  {share:.0%} of the time of all lines{more}; the whole source: --all", width, 2)
    return lines


def _costly(times: Mapping[int, int], total: int) -> list[int]:
    ordered = sorted(times, key=lambda line: (-times[line], line))
    return [line for line in ordered if times[line] >= MATTERS * total][:MOST_LINES]


def _rows(
    text: list[str], times: Mapping[int, int], total: int, shown: set[int], width: int, chars: Characters
) -> Iterator[Text | str]:
    digits = len(str(len(text)))
    widest = max(len(f"{time:,}") for time in times.values())
    bars = BAR if width >= NARROW else 0
    margin = 2 + widest + 8 + (bars + 1 if bars else 0)
    cut = width - margin - digits - 3 if sys.stdout.isatty() else None  # a file gets lines as long as they are
    last = 0
    for number in sorted(shown):
        if not 1 <= number <= len(text):
            continue
        if number > last + 1 and last:
            yield Text(f"{'':<{margin}}{chars.gap:>{digits}}", "dim")
        last = number
        code = Text(text[number - 1], no_wrap=True)
        if cut is not None and code.cell_len > cut:
            code.truncate(max(1, cut - len(chars.more)))
            code.append(chars.more)
        line = (f" {number:>{digits}} {chars.rule} ", "dim")
        time = times.get(number)
        if time is None:
            yield Text.assemble(" " * (margin - 1), line, code)
            continue
        share = time / total
        style = "bold red" if share >= 0.2 else "yellow" if share >= 0.05 else ""
        drawn = f" {bar(share, bars, chars, trough=False)}" if bars else ""
        yield Text.assemble((f"  {time:>{widest},}{share:>7.1%}", style), (drawn, style), line, code)
