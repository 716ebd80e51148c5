"""campaign: the searches of a file, one after the other, with one budget and one report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ...agent.campaign import Campaign, Next, Standing
from ...agent.controller import new_run_id, search
from ...agent.controller import resume as resume_search
from ...agent.runs.database import place_of
from ...agent.runs.journal import Journal
from ...agent.runs.status import RunStatus
from ...hardware_adapters.store import Home
from ..report.campaign_totals import totals
from ..serving.telemetry import set_up
from ..shell import DONE, ENVIRONMENT, KERNEL_FAILED, LIMIT, Stopped, emit, guarded, run, say, tell
from .campaign_file import read_campaign
from .own import problem_id_of
from .reading import status_json
from .searching import models_of, under_display

AGAIN = 2  # times that a search which the budget had ended goes on in one command: each may find nothing to do
UNITS = {"max_evaluations": "evaluations", "max_cost_usd": "USD", "timeout_s": "s"}


def campaign(file: Path, dry_run: bool, anew: bool, servers: list[str], pages: Path | None, as_json: bool) -> int:
    """`pages`: a folder for the report as pages."""

    def command() -> int:
        read = read_campaign(file)
        home = Home()
        place = place_of(home)
        journal = Journal(place)
        found = Campaign(read.name, read.entries, read.budget, journal, place)
        if anew and not dry_run:
            found.forget()
        if dry_run:
            # With --new as if all were forgotten: a table that only this command has knows of no runs.
            planned = found if not anew else Campaign(read.name, read.entries, read.budget, journal, Path(":memory:"))
            return _plan(planned, _written(found, journal, pages), as_json)
        set_up(scraped=False)
        return _run(found, file, home, journal, servers, pages, as_json)

    return guarded(command, as_json)


def _run(
    found: Campaign, file: Path, home: Home, journal: Journal, servers: list[str], pages: Path | None, as_json: bool
) -> int:
    """Search until all have ended, the budget is spent, or the infrastructure fails; then report. Raises as a search
    does."""
    went_on: dict[int, int] = {}
    stopped: Stopped | None = None
    failed: RunStatus | None = None
    while failed is None:
        spare = [number for number, times in went_on.items() if times >= AGAIN]
        following = found.next(spare)
        if following is None:
            break
        number, standing, limits = following
        if standing.state == "ended":
            went_on[number] = went_on.get(number, 0) + 1
        say(f"{number + 1} of {len(found.entries)}: {standing.entry.problem}{_limits_text(limits)}")
        try:
            status = _search(found, following, home, journal, servers, as_json)
        except Stopped as stop:
            stopped = stop
            break
        again = found.standings()[number]
        if status.state != "finished" and again.state != "ended":
            failed = status
    _report(found, journal, pages, as_json)
    more = f"autocomp-mcp campaign {file}"
    if stopped is not None:
        say(f"{stopped}; go on with: {more}")
        return stopped.status
    if failed is not None:
        say(f"autocomp-mcp: {failed.problem}: {failed.stop_reason}; go on with: {more}")
        return ENVIRONMENT
    standings = found.standings()
    if any(s.state != "ended" or s.starved for s in standings):
        say(f"the budget is spent; with a larger one in the file, go on with: {more}")
    if all(s.status is None or s.status.best is None for s in standings):
        return LIMIT if any(s.state != "ended" for s in standings) else KERNEL_FAILED
    return DONE


def _search(
    found: Campaign, following: Next, home: Home, journal: Journal, servers: list[str], as_json: bool
) -> RunStatus:
    """Begin the entry's search, or go on with it, to its end. Raises Stopped."""
    number, standing, limits = following
    entry = standing.entry
    problem = problem_id_of(entry.problem)
    settings = entry.chosen(limits)
    run_id = found.begin(number, new_run_id())
    runs_dir = home.path / "runs"

    async def work() -> RunStatus:
        async with (
            under_display(problem, servers, settings.engine, as_json) as (display, toolbox),
            models_of(entry.model, toolbox, settings) as models,
        ):
            if standing.status is None:
                return await search(
                    problem, settings, toolbox=toolbox, models=models, journal=journal, runs_dir=runs_dir,
                    source=entry.source, listener=display.update, run_id=run_id,
                )  # fmt: skip
            before = journal.row(run_id).settings
            more = {name: limit for name in limits if (limit := getattr(settings, name)) != before[name]}
            return await resume_search(
                run_id, toolbox=toolbox, models=models, journal=journal, runs_dir=runs_dir,
                listener=display.update, limits=more,
            )  # fmt: skip

    return run(work)


def _limits_text(limits: dict[str, Any]) -> str:
    return "".join(f", until {value:.6g} {UNITS[name]}" for name, value in limits.items())


# ---------------------------------------------------------------- what is said


def _plan(found: Campaign, written: str | None, as_json: bool) -> int:
    """What the command would do now; nothing is begun. `written`: where the report of what there is went."""
    standings = found.standings()
    following = found.next()
    doing = {"waiting": "begin", "open": "resume", "ended": "done"}
    entries = [
        {
            "problem": s.entry.problem, "model": s.entry.model, "settings": s.entry.settings, "run_id": s.run_id,
            "would": "go on" if s.starved else doing[s.state],
            "limits": following.limits if following is not None and following.number == number else None,
        }
        for number, s in enumerate(standings)
    ]  # fmt: skip
    if as_json:
        told = {"campaign": found.id, "dry_run": True, "budget": found.budget.model_dump(), "entries": entries}
        emit(told | {"report": written})
        return DONE
    budget = ", ".join(f"{value:g} {UNITS[name]}" for name, value in found.budget.limits.items()) or "none"
    tell(f"campaign {found.id}: {len(entries)} problems, budget {budget}; nothing is begun")
    for number, entry in enumerate(entries, 1):
        changes = ", ".join(f"{name}={value}" for name, value in entry["settings"].items())
        first = f"  next{_limits_text(entry['limits'])}" if entry["limits"] is not None else ""
        tell(f"{number:>4}  {entry['would']:<7}{entry['problem']}  {entry['model']}  {changes}{first}")
    if written is not None:
        tell(f"report    {written}")
    return DONE


def _report(found: Campaign, journal: Journal, pages: Path | None, as_json: bool) -> None:
    """Raises EnvironmentLackError where the pages cannot be written."""
    standings = found.standings()
    known_runs = [s.status for s in standings if s.status is not None]
    all_of = totals(standings)
    spent = {"evaluations": all_of.evaluations, "cost_usd": all_of.cost_usd, "time_s": all_of.time_s}
    written = _written(found, journal, pages)
    if as_json:
        entries = [
            {"problem": s.entry.problem, "state": s.state, "run": s.status and status_json(s.status, None)}
            for s in standings
        ]
        emit(
            {
                "campaign": found.id, "budget": found.budget.model_dump(), "spent": spent, "entries": entries,
                "geometric_mean_speedup": all_of.speedup, "report": written,
            }
        )  # fmt: skip
        return
    table = Table(title=f"campaign {found.id}", title_justify="left", box=None, pad_edge=False)
    for name in ("problem", "baseline", "best", "speed-up", "of bound", "evaluations", "run"):
        right = name in ("baseline", "best", "speed-up", "of bound", "evaluations")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for s in standings:
        table.add_row(s.entry.problem, *_cells(s))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120).print(table)
    money = "unknown cost" if all_of.cost_usd is None else f"{all_of.cost_usd:.2f} USD"
    whole = f", geometric mean of the speed-ups {all_of.speedup:.2f}x" if all_of.speedup is not None else ""
    tell(f"{spent['evaluations']} evaluations, {money}, {spent['time_s']:.0f} s{whole}")
    if known_runs:
        tell("more      autocomp-mcp show RUN, autocomp-mcp report RUN")
    if written is not None:
        tell(f"report    {written}")


def _written(found: Campaign, journal: Journal, pages: Path | None) -> str | None:
    """Where the campaign's page is; None where none was asked for."""
    if pages is None:
        return None
    from ..report.campaign import write_report

    return str(write_report(found, journal, pages)[-1].absolute())


def _cells(s: Standing) -> Sequence[str]:
    status = s.status
    if status is None:
        return ("", "", "", "", "", "not begun")
    best, first = status.best, status.baseline
    return (
        f"{first.latency:,.0f}" if first else "",
        f"{best.latency:,.0f} {best.unit}" if best else "none",
        f"{status.speedup:.2f}x" if status.speedup is not None else "",
        f"{best.utilisation:.0%}" if best and best.utilisation is not None else "",
        str(status.evaluations),
        status.run_id if s.state == "ended" and status.state == "finished" else f"{status.run_id} ({status.state})",
    )
