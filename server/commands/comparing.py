"""compare: two runs side by side, and what about them cannot be compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

from ...agent.runs.history import Entry, history, reached
from ...agent.runs.journal import Journal
from ...agent.runs.status import RunStatus
from ...hardware_adapters.store import Home
from ..inert import visible
from ..shell import DONE, emit, guarded, tell
from ..terminal.figures import MIN_COLUMNS, mark_text, wrapped
from ..terminal.steps import lineage_lines
from ..terminal.summary import NO_TERMINAL_COLUMNS
from .reading import find_run, status_json

SHARES = (0.90, 0.95, 1.0)  # of the slower run's final speed-up
LABEL = 14


def compare(first: str, second: str, as_json: bool) -> int:
    def command() -> int:
        home = Home()
        journal = Journal.of(home)
        names = [find_run(journal, name) for name in (first, second)]
        statuses = [journal.status(name, with_source=False) for name in names]
        settings = [journal.row(name).settings for name in names]
        differing = {
            name: [chosen.get(name) for chosen in settings]
            for name in sorted(settings[0].keys() | settings[1].keys())
            if settings[0].get(name) != settings[1].get(name)
        }
        entries = [history(journal.events(name)) for name in names]
        doubts = incomparable(statuses[0], statuses[1], _judges(entries[0]), _judges(entries[1]))
        reaching = _reaching(statuses, entries) if not doubts.keys() & {"problem", "engine", "best"} else []
        if as_json:
            emit(
                {
                    "runs": [
                        status_json(status, home) | {"lineage": [step.model_dump() for step in status.lineage]}
                        for status in statuses
                    ],
                    "settings": differing,
                    "incomparable": doubts,
                    "reaching": reaching,
                }
            )
        else:
            tell(*_lines(statuses, differing, doubts, reaching))
        return DONE

    return guarded(command, as_json)


def _judges(entries: list[Entry]) -> set[tuple[str, str]]:
    return {(e.evaluation.engine, e.evaluation.engine_version) for e in entries if e.evaluation}


def incomparable(
    a: RunStatus, b: RunStatus, judges_a: set[tuple[str, str]], judges_b: set[tuple[str, str]]
) -> dict[str, str]:
    """What differs so that figures must not be held against each other, and which. `judges`: engines and versions."""
    doubts: dict[str, str] = {}
    if a.problem != b.problem:
        doubts["problem"] = "different problems: latencies, speed-ups and lineages are not comparable"
    if judges_a and judges_b and len(judges_a | judges_b) > 1:
        named = ", ".join(sorted(" ".join(judge) for judge in judges_a | judges_b))
        doubts["engine"] = f"judged by different engines ({named}): latencies and utilisations are not comparable"
    if a.best is None or b.best is None:
        doubts["best"] = "not both have a best kernel"
    elif not doubts and a.baseline and b.baseline and a.baseline.latency != b.baseline.latency:
        doubts["baseline"] = "different first kernels: speed-ups are not comparable, latencies are"
    return doubts


def _reaching(statuses: list[RunStatus], entries: list[list[Entry]]) -> list[dict[str, Any]]:
    """How many evaluations each run needed for these shares of what both reached in the end.

    A share of a speed-up over one baseline is a latency, and that is what both runs are held against: so it holds
    for runs with different first kernels too.
    """
    bests = [status.best.latency for status in statuses if status.best]
    refused = [[c.candidate for c in status.confirmations if not c.passed] for status in statuses]
    found = []
    for share in SHARES:
        target = max(bests) / share
        hits = [reached(known, target, but) for known, but in zip(entries, refused, strict=True)]
        found.append(
            {
                "share": share,
                "latency": target,
                "evaluations": [hit and hit.evaluated for hit in hits],
                "model_calls": [hit and hit.model_calls for hit in hits],
            }
        )
    return found


def _lines(
    statuses: list[RunStatus],
    differing: dict[str, list[Any]],
    doubts: dict[str, str],
    reaching: list[dict[str, Any]],
) -> list[str]:
    columns = shutil.get_terminal_size((NO_TERMINAL_COLUMNS, 24)).columns
    rows = list(_rows(statuses))
    rows += [(f"  to {share['share']:.0%}", *_reached_texts(share)) for share in reaching]
    rows += [("settings", "", "")] if differing else []
    rows += [(f"  {name}", *(json.dumps(value) for value in values)) for name, values in differing.items()]
    width = max(len(first) for _, first, _ in rows)
    label = max(LABEL, *(len(name) + 2 for name, _, _ in rows))
    lines = [f"{name:<{label}}{visible(first):<{width}}  {visible(second)}".rstrip() for name, first, second in rows]
    for doubt in doubts.values():
        lines += ["", *wrapped(f"note: {doubt}", columns)]
    for status in statuses:
        lines += ["", status.run_id, *(lineage_lines(status, max(columns, MIN_COLUMNS)) or ["no kernel passed"])]
    return lines


def _reached_texts(share: dict[str, Any]) -> tuple[str, str]:
    first, second = (
        "-" if count is None else f"after {count} evaluations, {calls} model calls"
        for count, calls in zip(share["evaluations"], share["model_calls"], strict=True)
    )
    return first, second


def _rows(statuses: list[RunStatus]) -> Iterator[tuple[str, str, str]]:
    def row(name: str, texts: Iterator[str] | list[str]) -> tuple[str, str, str]:
        first, second = texts
        return name, first, second

    yield row("run", [s.run_id for s in statuses])
    yield row("problem", [s.problem for s in statuses])
    yield row("model", [s.model for s in statuses])
    yield row("engine", [s.engine or "-" for s in statuses])
    yield row("state", [s.state for s in statuses])
    if any(s.continues for s in statuses):
        yield row("continues", [s.continues or "-" for s in statuses])
    yield row("baseline", [mark_text(s.baseline) if s.baseline else "-" for s in statuses])
    yield row("best", [mark_text(s.best) if s.best else "-" for s in statuses])
    yield row("speed-up", [f"{s.speedup:.2f}x" if s.speedup else "-" for s in statuses])
    yield row("evaluations", [f"{s.evaluations:,}" for s in statuses])
    yield row("model calls", [f"{s.model_calls:,}" for s in statuses])
    yield row("tokens", [f"{s.tokens.total:,}" for s in statuses])
    yield row("cost", ["price not known" if s.cost_usd is None else f"{s.cost_usd:.2f} USD" for s in statuses])
    yield row("time", [f"{s.wall_s:.0f} s" for s in statuses])
