"""The kernels of a run: all in pages, or one with its plan, its evaluation and its source."""

from __future__ import annotations

from typing import Any

from ...agent.errors import AgentUsageError
from ...agent.runs.history import Entry, history
from ...agent.runs.journal import Journal
from ..inert import visible
from ..terminal.figures import plan_lines
from ..terminal.verdict import evaluation_lines


def candidates_page(journal: Journal, run_id: str, limit: int, offset: int) -> tuple[list[Entry], int]:
    """`limit` candidates from `offset` on, and how many there are."""
    entries = history(journal.events(run_id))
    return entries[offset : offset + limit], len(entries)


def candidate_of(journal: Journal, run_id: str, identity: str) -> tuple[Entry, str]:
    """The candidate and its source. Raises AgentUsageError."""
    found = next((entry for entry in history(journal.events(run_id)) if entry.candidate == identity), None)
    source = journal.source(run_id, identity)
    if found is None or source is None:
        raise AgentUsageError(
            f"run {run_id} has no candidate {identity!r}; list them with: autocomp-mcp show {run_id} --candidates"
        )
    return found, source


def entry_json(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"plan", "evaluation"})


def table_lines(entries: list[Entry], total: int, offset: int, run_id: str) -> list[str]:
    heads = ("candidate", "parent", "option", "verdict", "latency", "ratio")
    rows = [
        (
            entry.candidate, entry.parent or "-", entry.option or "-",
            f"= {entry.duplicate_of}" if entry.duplicate_of else entry.verdict,
            "-" if entry.latency is None else f"{entry.latency:,.0f}",
            "-" if entry.ratio is None else f"{entry.ratio:.2f}x",
        )
        for entry in entries
    ]  # fmt: skip
    if not rows:
        return [f"no candidates{f' from {offset} on: there are {total}' if total else ' yet'}"]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = [
        "  ".join(
            f"{cell:>{w}}" if n > 3 else f"{cell:<{w}}" for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]
    shown = offset + len(rows)
    if shown < total:
        lines.append(f"{shown} of {total}; the next: autocomp-mcp show {run_id} --candidates --offset {shown}")
    return [visible(line).rstrip() for line in lines]


def candidate_lines(entry: Entry, width: int) -> list[str]:
    gain = "" if entry.ratio is None else f", {entry.ratio:.2f}x against its parent {entry.parent}"
    lines = [f"candidate {entry.candidate}{gain}"]
    if entry.duplicate_of:
        lines.append(f"the same kernel as {entry.duplicate_of}")
    if entry.plan:
        lines += [entry.plan.option, *plan_lines(entry.plan.text, width)]
    if entry.evaluation:
        lines += ["", *evaluation_lines(entry.evaluation)]
    return [visible(line) for line in lines]
