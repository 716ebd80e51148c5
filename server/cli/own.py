"""The command line of `problem`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..commands.options import Json

group = typer.Typer(no_args_is_help=True, help="Your own problems: a folder with problem.toml and a first kernel.")


@group.command(name="new")
def problem_new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="lower case, e.g. my-operator", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="a new folder; default: ./NAME")
    ] = None,
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="gemmini or trainium")] = "gemmini",
    python: Annotated[bool, typer.Option("--python", help="with the reference as a Python file")] = False,
    json: Json = False,
) -> None:
    """Write a folder that works as it is, to be changed into your own problem."""
    from ..commands import own

    sys.exit(own.new(name, folder, target, python, json))


@group.command(name="check")
def problem_check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="with problem.toml", show_default=False)],
    json: Json = False,
) -> None:
    """Check that a problem proves itself: right kernels pass by it, worthless ones fail."""
    from ..commands import own

    sys.exit(own.check(folder, json))


@group.command(name="list")
def problem_list(json: Json = False) -> None:
    """List the problems of your own that can be used by id."""
    from ..commands import own

    sys.exit(own.own(json))
