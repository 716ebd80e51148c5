"""The command line of searches and their runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..commands.options import (
    EPILOG,
    Dashboard,
    ExecutorName,
    Iterations,
    Json,
    MaxCost,
    MaxEvaluations,
    MaxTokens,
    ProblemArg,
    RayAddress,
    Record,
    RequireSandbox,
    RunArg,
    SearchOptions,
    Servers,
    Timeout,
    given,
    with_options,
)

group = typer.Typer()


@group.command(epilog=EPILOG)
@with_options
def optimize(
    problem: ProblemArg,
    source: Annotated[Path | None, typer.Option("--source", help="kernel to start from; default: the baseline")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="only say what the search would cost")] = False,
    *,
    options: SearchOptions,
) -> None:
    """Search for a faster kernel: plan, generate, simulate, select, again."""
    from ..commands import searching

    if estimate:
        sys.exit(searching.estimate(problem, source, options))
    sys.exit(searching.optimize(problem, source, options))


@group.command(epilog=EPILOG)
def resume(
    run: RunArg,
    server: Servers = None,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    iterations: Iterations = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_evaluations: MaxEvaluations = None,
    timeout: Timeout = None,
    record: Record = None,
    dashboard: Dashboard = False,
    require_sandbox: RequireSandbox = False,
    json: Json = False,
) -> None:
    """Go on with a run that was interrupted, or with larger limits; nothing finished is done again.

    Limits count from the run's beginning, and those not given stay as they were.
    """
    from ..commands import searching

    limits = given(
        iterations=iterations, max_cost_usd=max_cost, max_tokens=max_tokens, max_evaluations=max_evaluations,
        timeout_s=timeout,
    )  # fmt: skip
    sys.exit(searching.resume(run, server or [], limits, record, json, dashboard))


@group.command(name="continue", epilog=EPILOG)
@with_options
def continue_(
    run: RunArg,
    options: SearchOptions,
) -> None:
    """Begin a new run on the same problem from RUN's best kernel.

    Model and settings are RUN's unless given; limits count from zero.
    """
    from ..commands import searching

    sys.exit(searching.continue_(run, options))


@group.command(epilog=EPILOG)
def campaign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or TOML; docs/scale.md", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would run")] = False,
    anew: Annotated[bool, typer.Option("--new", help="begin anew; the runs that there are stay")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="the report as a page, DIR/index.html, and a page of each run"),
    ] = None,
    server: Servers = None,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    require_sandbox: RequireSandbox = False,
    json: Json = False,
) -> None:
    """Search for faster kernels for a list of problems, with one budget and one report.

    The same command again goes on where it was stopped; nothing finished is done again.
    """
    from ..commands import campaigning

    sys.exit(campaigning.campaign(file, dry_run, anew, server or [], report, json))


@group.command()
def runs(json: Json = False) -> None:
    """List the runs of this home, newest first."""
    from ..commands import reading

    sys.exit(reading.runs(json))


@group.command()
def show(
    run: RunArg,
    source: Annotated[bool, typer.Option("--source", help="print the best kernel, or that of --candidate")] = False,
    plans: Annotated[bool, typer.Option("--plans", help="with the whole text of each step's plan")] = False,
    changes: Annotated[bool, typer.Option("--changes", help="with what each step changed, line by line")] = False,
    candidates: Annotated[bool, typer.Option("--candidates", help="all kernels that were tried")] = False,
    candidate: Annotated[str | None, typer.Option("--candidate", metavar="ID", help="one of them")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="candidates at once")] = 40,
    offset: Annotated[int, typer.Option("--offset", min=0, help="candidates to leave out before")] = 0,
    json: Json = False,
) -> None:
    """A run's result: the steps to its best kernel, each with its gain; or the kernels on the way."""
    from ..commands import reading

    view = reading.View(source, plans, changes, candidates, candidate, limit, offset)
    sys.exit(reading.show(run, view, json))


@group.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="a run id, or `last`", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="another", show_default=False)],
    json: Json = False,
) -> None:
    """Two runs side by side: what they found, spent, and needed to get there."""
    from ..commands import comparing

    sys.exit(comparing.compare(first, second, json))


@group.command()
def report(
    run: RunArg,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="the page; default: ./RUN.html")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="plots for papers, as SVG and PNG [extra: report]")
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", metavar="ID", help="profile this candidate too; `path`: the steps to the best"),
    ] = None,
    json: Json = False,
) -> None:
    """Write a run as one HTML page to look at, which needs no network; or plots of it."""
    from ..commands import reporting as command

    sys.exit(command.report(run, output, plots, profile or [], json))


@group.command(name="export")
def export_(
    run: RunArg,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="a new folder; default: ./RUN")
    ] = None,
    json: Json = False,
) -> None:
    """Write a run to a folder: journal, kernels, profiles, the best kernel."""
    from ..commands import archiving

    sys.exit(archiving.export_(run, folder, json))


@group.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="what `export` wrote", show_default=False)],
    json: Json = False,
) -> None:
    """Take in a run that was exported, on this machine or another."""
    from ..commands import archiving

    sys.exit(archiving.import_(folder, json))
