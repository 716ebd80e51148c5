"""Optimisation traces as they are published, taken apart, and measured latencies beside estimates.

A trace is one expression, `CodeCandidate(parent=CodeCandidate(...), code='''...''', score=0.359, ...)`: the kernel that
was found, its parents inside. It is read as text; nothing of it runs here.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import numpy as np


class Traced(NamedTuple):
    code: str
    measured_ms: float


class Measured(NamedTuple):
    """A kernel's latency as published and as estimated, both in ms, `scale` taken into account."""

    published: float
    estimate: float | None


def traced(text: str) -> list[Traced]:
    """The kernels of a trace, the first one first. Raises SyntaxError."""
    tree = ast.parse(text)
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    found = []
    for call in calls:
        if not isinstance(call.func, ast.Name) or call.func.id != "CodeCandidate":
            continue
        given = {each.arg: each.value for each in call.keywords}
        code, score = given.get("code"), given.get("score")
        if isinstance(code, ast.Constant) and isinstance(score, ast.Constant):
            found.append(Traced(str(code.value), float(str(score.value))))
    return found[::-1]  # ast.walk meets what is outside first


def replaced(text: str, pairs: list[list[str]]) -> str:
    """Raises ValueError where a text to be replaced is not there exactly once."""
    for old, new in pairs:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is {text.count(old)} times in the text")
        text = text.replace(old, new)
    return text


def rank_correlation(first: list[float], second: list[float]) -> float:
    """Spearman's; equal values share their rank. NaN where one side is all equal."""
    ranks = [np.array([np.mean([(v < x) + 0.5 * (v == x) for v in side]) for x in side]) for side in (first, second)]
    if any(np.ptp(each) == 0 for each in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def report(title: str, rows: list[Measured]) -> list[str]:
    """Lines for one family, in the trace's order."""
    known = [row for row in rows if row.estimate is not None]
    lines = [
        f"{title}, {len(known)} of {len(rows)} estimated",
        "  published  " + " ".join(f"{row.published:8.3f}" for row in rows),
        "  estimate   " + " ".join("       -" if row.estimate is None else f"{row.estimate:8.3f}" for row in rows),
    ]
    if len(known) > 2:
        found = rank_correlation([row.published for row in known], [row.estimate or 0.0 for row in known])
        lines.append(f"  rank correlation {found:.2f}")
    for name, row in (("first", rows[0]), ("last", rows[-1])):
        if row.estimate is not None:
            lines.append(f"  {name} {row.estimate / row.published - 1:+.0%}")
    return lines
