"""The way from a run's first kernel to its best: each step's gain, what was planned, and what it changed."""

from __future__ import annotations

import difflib
import itertools
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from ...agent.runs.status import RunStatus, Step, gains
from ..inert import MOST_SHOWN, code_lines, inert, visible
from .figures import MIN_COLUMNS, mark_text, plan_lines

LATENCY, GAIN = 12, 9  # columns
NARROW = 60  # with fewer, latencies take no more columns than they need
SENTENCE_LINES = 2  # that a step's plan may take
LEAST_SENTENCE = 30  # characters; `1. Tile.` says little
CONTEXT = 2  # unchanged lines around a change
MAX_DIFF_LINES = 20_000  # of both kernels; beyond, comparing takes long
STYLES = {"+": "green", "-": "red", "@": "cyan"}
_SCHEDULE = re.compile(r"\s*(?://|#) schedule: (\{.*\})\s*")


class Change(NamedTuple):
    """What a step made of its parent's source."""

    added: int
    removed: int
    schedule: tuple[str, ...]  # settings of the offline tuner's schedule, `name: before -> after`
    diff: tuple[str, ...]  # unified, inert

    @property
    def summary(self) -> str:
        parts = [f"+{self.added} -{self.removed} lines"] if self.added or self.removed else []
        return "; ".join([*self.schedule, *parts]) or "the source is the same"


def changes(lineage: Sequence[Step], sources: Mapping[str, str]) -> dict[str, Change | None]:
    """By candidate; `sources` of those in the lineage."""
    return {
        step.candidate: change(sources[before.candidate], sources[step.candidate])
        for before, step in itertools.pairwise(lineage)
        if before.candidate in sources and step.candidate in sources
    }


def change(before: str, after: str) -> Change | None:
    """None where the kernels are too long to be compared in a moment."""
    old_plan, old = _apart(before)
    new_plan, new = _apart(after)
    if len(old) + len(new) > MAX_DIFF_LINES:
        return None
    diff = list(difflib.unified_diff(old, new, lineterm="", n=CONTEXT))[2:]
    return Change(
        added=sum(line.startswith("+") for line in diff),
        removed=sum(line.startswith("-") for line in diff),
        schedule=tuple(_schedule(old_plan, new_plan)),
        diff=tuple(diff),
    )


def _apart(source: str) -> tuple[dict[str, Any], list[str]]:
    """The schedule that the offline tuner keeps in the first line, which is no code, and the lines of the kernel."""
    lines = code_lines(source)
    first = source.partition("\n")[0]
    if found := _SCHEDULE.fullmatch(first) if len(first) <= MOST_SHOWN else None:
        try:
            plan = json.loads(found[1])
        except ValueError:
            plan = None
        if isinstance(plan, dict):
            return plan, ["", *lines[1:]]  # lines keep their numbers
    return {}, lines


def _schedule(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name in before:
        if name in after and before[name] != after[name]:
            yield inert(f"{name} {before[name]} -> {after[name]}", 100)


def headline(status: RunStatus) -> str:
    """What came of the run, in a line."""
    if status.best is None or status.baseline is None or status.speedup is None:
        return ""
    return f"{status.speedup:.2f}x: {status.baseline.latency:,.0f} -> {mark_text(status.best)}"


def lineage_lines(status: RunStatus, width: int) -> list[str]:
    """Each step to the best kernel with its gain over the step before, and as much of its plan as fits on the line."""
    lines: list[str] = []
    for step, start in _starts(status.lineage, width):
        if step.option is None:
            lines.append(f"{start}the first kernel")
            continue
        left = max(width, MIN_COLUMNS) - len(start) - len(step.option)
        words = visible((step.plan or "")[:MOST_SHOWN])
        plan = textwrap.shorten(words, max(left - 2, 2), placeholder=" …", break_long_words=False)
        lines.append(f"{start}{visible(step.option)}" + (f": {plan.lstrip()}" if plan.strip(" …") else ""))
    return lines


def detailed_lines(
    status: RunStatus, known: Mapping[str, Change | None], width: int, *, plans: bool = False, diffs: bool = False
) -> list[Text | str]:
    """Each step with its gain, the sentence of its plan (with `plans` all of it), and what it changed (with `diffs`
    line by line)."""
    lines: list[Text | str] = []
    for step, start in _starts(status.lineage, width):
        indent = " " * (len(start) if width >= 2 * MIN_COLUMNS else 4)
        latency, gain = start[: -GAIN - 2], start[-GAIN - 2 :]
        name = Text(visible(step.option or "the first kernel"), "bold")
        head = Text.assemble(latency, (gain, "green"), name)
        lines.append(head)
        if step.option is None:
            continue
        place = f"(candidate {step.candidate})"
        if len(head) + 2 + len(place) <= max(width, MIN_COLUMNS):
            head.append(f"  {place}", "dim")
        else:
            lines.append(Text(indent + place, "dim"))
        said = plan_lines(step.plan or "", max(width, MIN_COLUMNS), indent) if plans else _sentence(step, width, indent)
        lines += said
        if (made := known.get(step.candidate)) is not None:
            lines += [Text(line, "dim") for line in plan_lines(made.summary, max(width, MIN_COLUMNS), indent)]
            lines += [Text(f"    {line}", STYLES.get(line[:1], "dim")) for line in made.diff] if diffs else []
    return lines


def _starts(lineage: Sequence[Step], width: int) -> Iterator[tuple[Step, str]]:
    """Each step, and the latency and gain that stand before it."""
    latencies = [f"{step.latency:,.0f}" if step.latency else "-" for step in lineage]
    widest = max(LATENCY if width >= NARROW else 0, *map(len, latencies), 0)
    for step, latency, gained in zip(lineage, latencies, gains(lineage), strict=True):
        gain = f"{gained:.2f}x" if gained else ""
        yield step, f"{latency:>{widest}}{gain:>{GAIN}}  "


def _sentence(step: Step, width: int, indent: str) -> list[str]:
    """The first sentence of the plan, the second too where the first is no more than a heading."""
    said = visible((step.plan or "")[:MOST_SHOWN]).strip()
    ends = [found.end() for found in re.finditer(r"[.!?:](?= )", said)]
    end = next((end for end in ends if end >= LEAST_SENTENCE), len(said))
    if not said:
        return []
    return textwrap.wrap(
        said[:end], max(width, MIN_COLUMNS), initial_indent=indent, subsequent_indent=indent, max_lines=SENTENCE_LINES,
        placeholder=" …", break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
