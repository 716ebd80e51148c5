"""The command line. Thin: each command imports what it needs when it runs, so that `--help` stays quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__

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

ProblemArg = Annotated[str, typer.Argument(metavar="PROBLEM", help="e.g. gemmini/gemm-512x512x512", show_default=False)]
FileArg = Annotated[
    Path, typer.Argument(metavar="FILE", help="the kernel's source; - reads standard input", show_default=False)
]
RunArg = Annotated[str, typer.Argument(metavar="RUN", help="a run id, or `last`", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout, all else on stderr")]
Engine = Annotated[str | None, typer.Option("--engine", help="engine to judge by; `doctor` lists them")]
Target = Annotated[str | None, typer.Option("--target", help="only this target")]
Iterations = Annotated[int | None, typer.Option("--iterations", min=1)]
MaxCost = Annotated[float | None, typer.Option("--max-cost", metavar="USD", help="stop before spending more")]
MaxEvaluations = Annotated[int | None, typer.Option("--max-evaluations", min=1)]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", help="wall clock, in seconds")]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FILE", help="keep every exchange with the model; --model replay:FILE answers from it"
    ),
]
Servers = Annotated[
    list[str] | None, typer.Option("--server", help="URL of an MCP server to use instead of this process")
]


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
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="offline, or PROVIDER:NAME (anthropic, bedrock, vertex, openai), or replay:FILE; "
            "given again: several, NAME@2 with twice the weight",
        ),
    ] = None,
    plan_model: Annotated[list[str] | None, typer.Option("--plan-model", help="plans, in place of --model")] = None,
    code_model: Annotated[
        list[str] | None, typer.Option("--code-model", help="writes code, in place of --model")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="of the model's service, e.g. a server of your own")
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="model calls by the batch service: half the price, later (anthropic only)")
    ] = False,
    record: Record = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="only say what the search would cost")] = False,
    engine: Engine = None,
    server: Servers = None,
    iterations: Iterations = None,
    plans: Annotated[int | None, typer.Option("--plans", min=1, help="plans per candidate of the beam")] = None,
    codes: Annotated[int | None, typer.Option("--codes", min=1, help="implementations per plan")] = None,
    beam: Annotated[int | None, typer.Option("--beam", min=1, help="candidates that go on")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0)] = None,
    max_cost: MaxCost = None,
    max_evaluations: MaxEvaluations = None,
    timeout: Timeout = None,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="ENGINE", help="judge the fastest kernels with this engine too")
    ] = None,
    confirm_top: Annotated[int | None, typer.Option("--confirm-top", min=1, help="how many of them; 3")] = None,
    json: Json = False,
) -> None:
    """Search for a faster kernel: plan, generate, simulate, select, again."""
    from . import searching

    changes = {
        "engine": engine, "iterations": iterations, "plans": plans, "codes": codes, "beam": beam, "seed": seed,
        "max_cost_usd": max_cost, "max_evaluations": max_evaluations, "timeout_s": timeout,
        "confirm": confirm, "confirm_top": confirm_top, "base_url": base_url, "batch": batch or None,
    }  # fmt: skip
    changes = {key: value for key, value in changes.items() if value is not None}
    models = searching.ModelChoice(model or [], plan_model or [], code_model or [])
    if estimate:
        sys.exit(searching.estimate(problem, source, models, server or [], changes, json))
    sys.exit(searching.optimize(problem, source, models, server or [], changes, record, json))


@app.command(epilog=EPILOG)
def resume(
    run: RunArg,
    server: Servers = None,
    iterations: Iterations = None,
    max_cost: MaxCost = None,
    max_evaluations: MaxEvaluations = None,
    timeout: Timeout = None,
    record: Record = None,
    json: Json = False,
) -> None:
    """Go on with a run that was interrupted, or with larger limits; nothing finished is done again.

    Limits count from the run's beginning, and those not given stay as they were.
    """
    from . import searching

    limits = {
        "iterations": iterations, "max_cost_usd": max_cost, "max_evaluations": max_evaluations, "timeout_s": timeout,
    }  # fmt: skip
    limits = {key: value for key, value in limits.items() if value is not None}
    sys.exit(searching.resume(run, server or [], limits, record, json))


@app.command()
def runs(json: Json = False) -> None:
    """List the runs of this home, newest first."""
    from . import reading

    sys.exit(reading.runs(json))


@app.command()
def show(
    run: RunArg,
    source: Annotated[bool, typer.Option("--source", help="print the best kernel")] = False,
    json: Json = False,
) -> None:
    """A run's result: the steps to its best kernel, each with its gain."""
    from . import reading

    sys.exit(reading.show(run, source, json))


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
def serve(
    http: Annotated[
        str | None, typer.Option("--http", metavar="HOST:PORT", help="Streamable HTTP instead of stdio")
    ] = None,
) -> None:
    """Offer the tools over MCP: on stdio, or over HTTP with --http."""
    from . import serving

    sys.exit(serving.serve(http))
