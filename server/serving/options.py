"""The options of `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

MAX_REQUEST_BYTES = 4 << 20


class ServeOptions(NamedTuple):
    """What `serve` was told."""

    http: Annotated[
        str | None, typer.Option("--http", metavar="HOST:PORT", help="Streamable HTTP instead of stdio")
    ] = None
    toolsets: Annotated[
        str | None,
        typer.Option(
            "--toolsets",
            metavar="A,B",
            help="only these: problems, menu, kernels, search, hardware; default: all but the last",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude-tools", metavar="NAME", help="without this tool; repeatable")
    ] = None
    read_only: Annotated[
        bool, typer.Option("--read-only", help="no tool that starts or stops a search, whatever else is asked for")
    ] = False
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="who may call: lines NAME:TOKEN or NAME:sha256:HEX"),
    ] = None
    oauth_issuer: Annotated[
        str | None,
        typer.Option("--oauth-issuer", metavar="URL", help="who may call: whoever has a token of this issuer"),
    ] = None
    oauth_audience: Annotated[
        list[str] | None,
        typer.Option("--oauth-audience", metavar="NAME", help="what its tokens are for; default: the resource's URL"),
    ] = None
    oauth_scope: Annotated[
        list[str] | None,
        typer.Option("--oauth-scope", metavar="NAME", help="a scope its tokens must have; repeatable"),
    ] = None
    resource_url: Annotated[
        str | None, typer.Option("--resource-url", metavar="URL", help="this server's own URL, as callers know it")
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="a name by which callers reach this server; repeatable"),
    ] = None
    max_request_bytes: Annotated[int, typer.Option("--max-request-bytes", min=1024, help="of one request's body")] = (
        MAX_REQUEST_BYTES
    )
    max_calls: Annotated[
        int, typer.Option("--max-calls", min=1, help="calls of one caller that compile or simulate at once, over HTTP")
    ] = 64
    max_searches: Annotated[
        int, typer.Option("--max-searches", min=1, help="searches of one caller at once, over HTTP")
    ] = 4
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="processes that serve the address")] = 1
    state_key_file: Annotated[
        Path | None,
        typer.Option("--state-key-file", metavar="FILE", help="keys that servers behind a balancer share, one a line"),
    ] = None
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Prometheus metrics at /metrics, over HTTP, for whoever may call")
    ] = False
    problem_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--problem-root",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="callers may use the problems of your own below it; repeatable",
        ),
    ] = None
