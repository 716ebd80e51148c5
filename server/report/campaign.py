"""A campaign's report: one page of all its problems, and beside it the page of each run. It needs no script: its curves
are drawn here, and all that a problem, a model or a run is called is only text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...agent.campaign import Campaign, Standing
from ...agent.runs.journal import Journal
from ...agent.runs.status import Mark
from ...hardware_adapters.base import EnvironmentLackError
from ...hardware_adapters.store import replace
from ..inert import inert
from .campaign_totals import totals
from .document import WEB, common_style, content_policy, document
from .following import snapshot
from .page import page
from .snapshot import Snapshot

INDEX = "index.html"
# Of a curve's picture, in its own units.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 320, 130, 42, 8, 10, 22


class Curve(NamedTuple):
    """`line`: an SVG path. `share`: of the bound, or of the best where no bound is known."""

    line: str
    under: str
    end_x: float
    end_y: float
    share: float
    of_bound: bool
    words: str


class Line(NamedTuple):
    problem: str
    model: str
    state: str
    why: str
    page: str | None
    baseline: Mark | None
    best: Mark | None
    speedup: float | None
    evaluations: int
    cost_usd: float | None
    time_s: float
    curve: Curve | None


def write_report(found: Campaign, journal: Journal, folder: Path) -> list[Path]:
    """The pages of the runs and INDEX, which leads to them. Raises EnvironmentLackError for a folder that cannot be
    written."""
    standings = found.standings()
    begun = [s.run_id if s.status is not None else None for s in standings]
    shots = [snapshot(journal, run) if run is not None else None for run in begun]
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for shot in filter(None, shots):
            written.append(folder / f"{shot.head.run_id}.html")
            replace(written[-1], page(shot).encode())
        written.append(folder / INDEX)
        replace(written[-1], campaign_page(found, standings, shots).encode())
    except OSError as error:
        raise EnvironmentLackError(f"cannot write {error.filename!r}: {error.strerror}") from error
    return written


def campaign_page(found: Campaign, standings: Sequence[Standing], shots: Sequence[Snapshot | None]) -> str:
    most = max((shot.rows[-1].n for shot in shots if shot is not None and shot.rows), default=1)
    lines = [_line(standing, shot, most) for standing, shot in zip(standings, shots, strict=True)]
    style = common_style() + (WEB / "campaign.css").read_text()
    return document(
        "campaign.html", title=f"Campaign {inert(found.id)}", style=style, policy=content_policy(style), lines=lines,
        totals=totals(standings), budget=found.budget, ended=sum(s.state == "ended" for s in standings), most=most,
        box=(WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM),
    )  # fmt: skip


def _line(standing: Standing, shot: Snapshot | None, most: int) -> Line:
    status = standing.status
    words = (inert(standing.entry.problem), inert(standing.entry.model))
    if status is None:
        return Line(*words, "not begun", "", None, None, None, None, 0, 0.0, 0.0, None)
    return Line(
        *words, status.state, inert(status.stop_reason or ""), f"{status.run_id}.html", status.baseline, status.best,
        status.speedup, status.evaluations, status.cost_usd, status.wall_s, _curve(shot, status.best, most),
    )  # fmt: skip


def _curve(shot: Snapshot | None, best: Mark | None, most: int) -> Curve | None:
    """The best so far over evaluations, of all problems at the same scale."""
    if shot is None or not shot.best or best is None:
        return None
    top = best.utilisation or 1.0

    def across(n: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * n / most, 1)

    def up(latency: float) -> float:
        share = min(1.0, top * best.latency / latency)
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)

    first, last = shot.best[0], shot.best[-1]
    steps = [f"M{across(first.n)} {up(first.latency)}"]
    steps += [f"H{across(point.n)}V{up(point.latency)}" for point in shot.best[1:]]
    end_x, floor = across(shot.rows[-1].n), HEIGHT - BOTTOM
    line = "".join(steps) + f"H{end_x}"
    known = best.utilisation is not None
    words = (
        f"{inert(shot.head.problem)}: from {first.latency:,.0f} to {last.latency:,.0f} {best.unit} in "
        f"{shot.rows[-1].n} evaluations; the best came with evaluation {last.n}"
    )
    under = f"{line}V{floor}H{across(first.n)}Z"
    return Curve(line, under, end_x, up(last.latency), top, known, words)
