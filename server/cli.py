"""The command line. Thin: each command imports what it needs when it runs, so that `--help` stays quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from . import serve_options as serving
from .options import (
    BaseUrl,
    Batch,
    Beam,
    CodeModel,
    Codes,
    Confirm,
    ConfirmTop,
    Engine,
    FileArg,
    Iterations,
    Json,
    MaxCost,
    MaxEvaluations,
    MaxTokens,
    Model,
    PlanModel,
    Plans,
    Preset,
    ProblemArg,
    Record,
    Reuse,
    RunArg,
    SearchSeed,
    Servers,
    Settings,
    Target,
    Timeout,
)  # fmt: skip
from .own_commands import group

EXIT_STATUSES = {
    0: "done",
    1: "the kernel failed its evaluation",
    2: "wrong usage, or an unknown problem, run or engine",
    3: "this machine or a service lacks what was asked for, or failed",
    4: "a limit was reached before any result",
    130: "stopped by Ctrl-C (SIGINT); a search says which command goes on",
    143: "stopped by SIGTERM; likewise",
}
EPILOG = "\n".join(["Exit status:", *(f"{status:>4}  {meaning}" for status, meaning in EXIT_STATUSES.items())])

app = typer.Typer(
    name="autocomp-mcp",
    help="Makes tensor-accelerator kernels fast: a language model searches, the hardware (or its simulator) judges.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(group, name="problem")


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


@app.command(epilog=EPILOG)
def optimize(
    problem: ProblemArg,
    source: Annotated[Path | None, typer.Option("--source", help="kernel to start from; default: the baseline")] = None,
    model: Model = None,
    plan_model: PlanModel = None,
    code_model: CodeModel = None,
    base_url: BaseUrl = None,
    batch: Batch = False,
    record: Record = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="only say what the search would cost")] = False,
    engine: Engine = None,
    server: Servers = None,
    iterations: Iterations = None,
    plans: Plans = None,
    codes: Codes = None,
    beam: Beam = None,
    seed: SearchSeed = None,
    preset: Preset = None,
    reuse: Reuse = None,
    changed: Settings = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_evaluations: MaxEvaluations = None,
    timeout: Timeout = None,
    confirm: Confirm = None,
    confirm_top: ConfirmTop = None,
    json: Json = False,
) -> None:
    """Search for a faster kernel: plan, generate, simulate, select, again."""
    from . import searching

    changes = _given(
        engine=engine, iterations=iterations, plans=plans, codes=codes, beam=beam, seed=seed, preset=preset,
        reuse=reuse, base_url=base_url, batch=batch or None, max_cost_usd=max_cost, max_tokens=max_tokens,
        max_evaluations=max_evaluations, timeout_s=timeout, confirm=confirm, confirm_top=confirm_top,
    )  # fmt: skip
    models = searching.ModelChoice(model or [], plan_model or [], code_model or [])
    if estimate:
        sys.exit(searching.estimate(problem, source, models, server or [], changes, changed or [], json))
    sys.exit(searching.optimize(problem, source, models, server or [], changes, changed or [], record, json))


@app.command(epilog=EPILOG)
def resume(
    run: RunArg,
    server: Servers = None,
    iterations: Iterations = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_evaluations: MaxEvaluations = None,
    timeout: Timeout = None,
    record: Record = None,
    json: Json = False,
) -> None:
    """Go on with a run that was interrupted, or with larger limits; nothing finished is done again.

    Limits count from the run's beginning, and those not given stay as they were.
    """
    from . import searching

    limits = _given(
        iterations=iterations, max_cost_usd=max_cost, max_tokens=max_tokens, max_evaluations=max_evaluations,
        timeout_s=timeout,
    )  # fmt: skip
    sys.exit(searching.resume(run, server or [], limits, record, json))


@app.command(name="continue", epilog=EPILOG)
def continue_(
    run: RunArg,
    model: Model = None,
    plan_model: PlanModel = None,
    code_model: CodeModel = None,
    base_url: BaseUrl = None,
    batch: Batch = False,
    record: Record = None,
    engine: Engine = None,
    server: Servers = None,
    iterations: Iterations = None,
    plans: Plans = None,
    codes: Codes = None,
    beam: Beam = None,
    seed: SearchSeed = None,
    preset: Preset = None,
    reuse: Reuse = None,
    changed: Settings = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_evaluations: MaxEvaluations = None,
    timeout: Timeout = None,
    confirm: Confirm = None,
    confirm_top: ConfirmTop = None,
    json: Json = False,
) -> None:
    """Begin a new run on the same problem from RUN's best kernel.

    Model and settings are RUN's unless given; limits count from zero.
    """
    from . import searching

    changes = _given(
        engine=engine, iterations=iterations, plans=plans, codes=codes, beam=beam, seed=seed, preset=preset,
        reuse=reuse, base_url=base_url, batch=batch or None, max_cost_usd=max_cost, max_tokens=max_tokens,
        max_evaluations=max_evaluations, timeout_s=timeout, confirm=confirm, confirm_top=confirm_top,
    )  # fmt: skip
    models = searching.ModelChoice(model or [], plan_model or [], code_model or [])
    sys.exit(searching.continue_(run, models, server or [], changes, changed or [], record, json))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@app.command()
def runs(json: Json = False) -> None:
    """List the runs of this home, newest first."""
    from . import reading

    sys.exit(reading.runs(json))


@app.command()
def show(
    run: RunArg,
    source: Annotated[bool, typer.Option("--source", help="print the best kernel, or that of --candidate")] = False,
    plans: Annotated[bool, typer.Option("--plans", help="with the whole text of each step's plan")] = False,
    candidates: Annotated[bool, typer.Option("--candidates", help="all kernels that were tried")] = False,
    candidate: Annotated[str | None, typer.Option("--candidate", metavar="ID", help="one of them")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="candidates at once")] = 40,
    offset: Annotated[int, typer.Option("--offset", min=0, help="candidates to leave out before")] = 0,
    json: Json = False,
) -> None:
    """A run's result: the steps to its best kernel, each with its gain; or the kernels on the way."""
    from . import reading

    view = reading.View(source, plans, candidates, candidate, limit, offset)
    sys.exit(reading.show(run, view, json))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="a run id, or `last`", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="another", show_default=False)],
    json: Json = False,
) -> None:
    """Two runs side by side: what they found, spent, and needed to get there."""
    from . import comparing

    sys.exit(comparing.compare(first, second, json))


@app.command(name="export")
def export_(
    run: RunArg,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="a new folder; default: ./RUN")
    ] = None,
    json: Json = False,
) -> None:
    """Write a run to a folder: journal, kernels, profiles, the best kernel."""
    from . import archiving

    sys.exit(archiving.export_(run, folder, json))


@app.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="what `export` wrote", show_default=False)],
    json: Json = False,
) -> None:
    """Take in a run that was exported, on this machine or another."""
    from . import archiving

    sys.exit(archiving.import_(folder, json))


@app.command(epilog=EPILOG)
def evaluate(
    problem: ProblemArg,
    file: FileArg,
    engine: Engine = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="varies the input data")] = 0,
    json: Json = False,
) -> None:
    """Compile a kernel, run it on several input sets, check every element, and time it."""
    from . import judging

    sys.exit(judging.evaluate(problem, file, engine, seed, json))


@app.command()
def profile(
    problem: ProblemArg,
    file: FileArg,
    engine: Engine = None,
    timeline: Annotated[
        Path | None, typer.Option("--timeline", metavar="OUT", help="write a Perfetto timeline")
    ] = None,
    json: Json = False,
) -> None:
    """Where a kernel's cycles go: units, stalls by cause, the bottleneck, costly lines."""
    from . import judging

    sys.exit(judging.profile(problem, file, engine, timeline, json))


@app.command(name="compile")
def compile_(problem: ProblemArg, file: FileArg, json: Json = False) -> None:
    """Compile a kernel and show the compiler's messages."""
    from . import judging

    sys.exit(judging.compile_kernel(problem, file, json))


@app.command()
def problems(
    target: Target = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="PROBLEM", help="print this problem's baseline kernel")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="PROBLEM", help="print the vendor's way: a kernel of hardware loops"),
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="list this suite; by default examples")] = None,
    json: Json = False,
) -> None:
    """List problems, suites of them, and the pattern of each family's ids."""
    from . import listing

    sys.exit(listing.problems(target, baseline, reference, suite, json))


@app.command()
def menu(target: Target = None, json: Json = False) -> None:
    """List the optimisations a search chooses from."""
    from . import listing

    sys.exit(listing.menu(target, json))


@app.command()
def doctor(json: Json = False) -> None:
    """Check this machine: compilers, simulators, engines, models, and what would mend each."""
    from . import doctor as checks

    sys.exit(checks.doctor(json))


@app.command()
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
    from . import install as installing

    sys.exit(installing.install(host, scope, name, yes, print_only))


@app.command(epilog=EPILOG)
def serve(
    http: serving.Http = None,
    toolsets: serving.Toolsets = None,
    exclude: serving.Exclude = None,
    read_only: serving.ReadOnly = False,
    token_file: serving.TokenFile = None,
    oauth_issuer: serving.OAuthIssuer = None,
    oauth_audience: serving.OAuthAudience = None,
    oauth_scope: serving.OAuthScope = None,
    resource_url: serving.ResourceUrl = None,
    allow_host: serving.AllowHost = None,
    max_request_bytes: serving.MaxRequestBytes = 4 << 20,
    max_calls: serving.MaxCalls = 64,
    max_searches: serving.MaxSearches = 4,
    workers: serving.Workers = 1,
    state_key_file: serving.StateKeyFile = None,
    problem_root: serving.ProblemRoot = None,
) -> None:
    """Offer the tools over MCP: on stdio, or over HTTP with --http.

    Without a token or an issuer, only this machine may connect. AUTOCOMP_TOKEN holds a token too, AUTOCOMP_STATE_KEY a
    state key.
    """
    from . import own
    from .serving import Offer
    from .serving import serve as run

    own.allow(problem_root or [])
    offer = Offer(
        http=http, toolsets=toolsets, exclude=tuple(exclude or ()), read_only=read_only, token_file=token_file,
        oauth_issuer=oauth_issuer, oauth_audience=tuple(oauth_audience or ()), oauth_scope=tuple(oauth_scope or ()),
        resource_url=resource_url, allow_host=tuple(allow_host or ()), max_request_bytes=max_request_bytes,
        max_calls=max_calls, max_searches=max_searches, workers=workers, state_key_file=state_key_file,
    )  # fmt: skip
    sys.exit(run(offer))
