"""The command line. Thin: each command imports what it needs when it runs, so that `--help` stays quick."""

from __future__ import annotations

from typing import Annotated

import typer

from ... import __version__
from ..commands.options import EPILOG
from . import host, kernel, own, search

app = typer.Typer(
    name="autocomp-mcp",
    help="Makes tensor-accelerator kernels fast: a language model searches, the hardware (or its simulator) judges.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(search.group)
app.add_typer(kernel.group)
app.add_typer(host.group)
app.add_typer(own.group, name="problem")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"autocomp-mcp {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """See `COMMAND --help`."""
