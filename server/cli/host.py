"""The command line of this machine and those who connect to it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..commands.options import EPILOG, ExecutorName, Json, RayAddress, RequireSandbox, with_options
from ..serving.options import ServeOptions

group = typer.Typer()


@group.command()
def doctor(json: Json = False) -> None:
    """Check this machine: compilers, simulators, engines, models, and what would mend each."""
    from ..commands import doctor as checks

    sys.exit(checks.doctor(json))


@group.command()
def install(
    host: Annotated[
        str,
        typer.Argument(
            metavar="HOST",
            help="claude-code, claude-desktop, cursor, vscode, zed, windsurf or jetbrains",
            show_default=False,
        ),
    ],
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="user|project", help="for all projects, or for this folder's; default: user"),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="what the host calls the server")] = "autocomp",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    print_only: Annotated[bool, typer.Option("--print", help="only print what would be added, and where")] = False,
) -> None:
    """Add the MCP server to an assistant's configuration: shows the change, asks, keeps a copy of the old file."""
    from ..install import command as installing

    sys.exit(installing.install(host, scope, name, yes, print_only))


@group.command(epilog=EPILOG)
@with_options
def serve(
    options: ServeOptions,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    require_sandbox: RequireSandbox = False,
) -> None:
    """Offer the tools over MCP: on stdio, or over HTTP with --http.

    Without a token or an issuer, only this machine may connect. AUTOCOMP_TOKEN holds a token too, AUTOCOMP_STATE_KEY a
    state key.
    """
    from ..commands import own
    from ..serving.serve import serve as run

    own.allow(options.problem_root or [])
    sys.exit(run(options))
