"""The command line of kernels, problems and menus."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..commands.options import (
    EPILOG,
    Engine,
    ExecutorName,
    FileArg,
    Json,
    ProblemArg,
    RayAddress,
    RequireSandbox,
    Target,
)

group = typer.Typer()


@group.command(epilog=EPILOG)
def evaluate(
    problem: ProblemArg,
    file: FileArg,
    engine: Engine = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="varies the input data")] = 0,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    require_sandbox: RequireSandbox = False,
    json: Json = False,
) -> None:
    """Compile a kernel, run it on several input sets, check every element, and time it."""
    from ..commands import judging

    sys.exit(judging.evaluate(problem, file, engine, seed, json))


@group.command()
def profile(
    problem: ProblemArg,
    file: FileArg,
    engine: Engine = None,
    timeline: Annotated[
        Path | None, typer.Option("--timeline", metavar="OUT", help="write a Perfetto timeline")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="every line of the source, every wait")] = False,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Where a kernel's time goes: units at work or waiting, the bottleneck, the source with the time of each line."""
    from ..commands import judging

    sys.exit(judging.profile(problem, file, engine, timeline, json, everything=everything))


@group.command(name="compile")
def compile_(
    problem: ProblemArg,
    file: FileArg,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    json: Json = False,
) -> None:
    """Compile a kernel and show the compiler's messages."""
    from ..commands import judging

    sys.exit(judging.compile_kernel(problem, file, json))


@group.command()
def problems(
    target: Target = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="PROBLEM", help="print this problem's baseline kernel")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="PROBLEM", help="print the vendor's way: a kernel of hardware loops"),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option("--suite", metavar="NAME", help="list this suite, NAME or TARGET/NAME; by default examples"),
    ] = None,
    json: Json = False,
) -> None:
    """List problems, suites of them, and the pattern of each family's ids."""
    from ..commands import listing

    sys.exit(listing.problems(target, baseline, reference, suite, json))


@group.command()
def menu(target: Target = None, json: Json = False) -> None:
    """List the optimisations a search chooses from."""
    from ..commands import listing

    sys.exit(listing.menu(target, json))
