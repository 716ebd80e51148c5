"""Options and arguments that several commands share."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import typer

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


def require_sandbox() -> None:
    """For this process and all that it starts."""
    from ...hardware_adapters.sandbox.layers import REQUIRE_VARIABLE

    os.environ[REQUIRE_VARIABLE] = "1"


def set_variable(name: str) -> Callable[[str | None], None]:
    """A callback that passes the option's value on to this process and all that it starts."""

    def passed_on(value: str | None) -> None:
        if value is not None:
            os.environ[name] = value

    return passed_on


ProblemArg = Annotated[
    str,
    typer.Argument(
        metavar="PROBLEM", help="e.g. gemmini/gemm-512x512x512, or the folder of one of your own", show_default=False
    ),
]
FileArg = Annotated[
    Path, typer.Argument(metavar="FILE", help="the kernel's source; - reads standard input", show_default=False)
]
RunArg = Annotated[str, typer.Argument(metavar="RUN", help="a run id, or `last`", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout, all else on stderr")]
Engine = Annotated[str | None, typer.Option("--engine", help="engine to judge by; `doctor` lists them")]
Target = Annotated[str | None, typer.Option("--target", help="only this target")]
RequireSandbox = Annotated[
    bool,
    typer.Option(
        "--require-sandbox",
        callback=lambda wanted: require_sandbox() if wanted else None,
        help="refuse to run anything unless every layer of the sandbox is there (AUTOCOMP_REQUIRE_SANDBOX=1)",
    ),
]
ExecutorName = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        "--executor",
        callback=set_variable("AUTOCOMP_EXECUTOR"),
        help="where kernels are compiled and judged: on this machine (default), or on a Ray cluster",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        callback=set_variable("AUTOCOMP_RAY_ADDRESS"),
        help="of the cluster's head; auto (default): the cluster that this machine is a node of",
    ),
]
Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        help="URL of an MCP server to use instead of this process; given again: several share the evaluations",
    ),
]

# Of searches: which models
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="offline, or PROVIDER:NAME (anthropic, bedrock, vertex, openai), or replay:FILE; "
        "given again: several, NAME@2 with twice the weight",
    ),
]
PlanModel = Annotated[list[str] | None, typer.Option("--plan-model", help="plans, in place of --model")]
CodeModel = Annotated[list[str] | None, typer.Option("--code-model", help="writes code, in place of --model")]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="of the model's service, e.g. a server of your own")
]
Batch = Annotated[
    bool, typer.Option("--batch", help="model calls by the batch service: half the price, later (anthropic only)")
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FILE", help="keep every exchange with the model; --model replay:FILE answers from it"
    ),
]

# Of searches: how
# Defaults are those of the presets `llm` and `offline`, not read from there: every command would start later for it.
Iterations = Annotated[
    int | None, typer.Option("--iterations", min=1, help="passes of plan to select (optimize: 20, offline 10)")
]
Plans = Annotated[
    int | None, typer.Option("--plans", min=1, help="plans per candidate of the beam (optimize: 4, offline 6)")
]
Codes = Annotated[int | None, typer.Option("--codes", min=1, help="implementations per plan (optimize: 1)")]
Beam = Annotated[int | None, typer.Option("--beam", min=1, help="candidates that go on (optimize: 3)")]
SearchSeed = Annotated[int | None, typer.Option("--seed", min=0, help="of every random choice (optimize: 0)")]
Preset = Annotated[str | None, typer.Option("--preset", help="settings by name, e.g. autocomp-gemmini: as published")]
Reuse = Annotated[
    str | None, typer.Option("--reuse", help="schedule to replay first: auto (default: of the nearest run), RUN, none")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="any other setting of docs/search.md, e.g. dropout=0.7"),
]
Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="ENGINE", help="judge the fastest kernels with this engine too")
]
ConfirmTop = Annotated[int | None, typer.Option("--confirm-top", min=1, help="how many of them; 3")]

# Of searches: where they end
MaxCost = Annotated[float | None, typer.Option("--max-cost", metavar="USD", help="stop before spending more")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="stop before using more, in and out")]
MaxEvaluations = Annotated[
    int | None, typer.Option("--max-evaluations", min=1, help="stop after so many kernels were judged")
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="S", help="wall clock, in seconds (optimize: none, offline 120)"),
]


Dashboard = Annotated[bool, typer.Option("--dashboard", help="show the search in a browser; prints the address")]


class SearchOptions(NamedTuple):
    """What `optimize` and `continue` take alike."""

    model: Model = None
    plan_model: PlanModel = None
    code_model: CodeModel = None
    base_url: BaseUrl = None
    batch: Batch = False
    record: Record = None
    engine: Engine = None
    server: Servers = None
    executor: ExecutorName = None
    ray_address: RayAddress = None
    iterations: Iterations = None
    plans: Plans = None
    codes: Codes = None
    beam: Beam = None
    seed: SearchSeed = None
    preset: Preset = None
    reuse: Reuse = None
    changed: Settings = None
    max_cost: MaxCost = None
    max_tokens: MaxTokens = None
    max_evaluations: MaxEvaluations = None
    timeout: Timeout = None
    confirm: Confirm = None
    confirm_top: ConfirmTop = None
    dashboard: Dashboard = False
    require_sandbox: RequireSandbox = False
    json: Json = False

    @property
    def changes(self) -> dict[str, Any]:
        """Settings of the search by their names, those that were given; `--set` not among them."""
        return given(
            engine=self.engine, iterations=self.iterations, plans=self.plans, codes=self.codes, beam=self.beam,
            seed=self.seed, preset=self.preset, reuse=self.reuse, base_url=self.base_url, batch=self.batch or None,
            max_cost_usd=self.max_cost, max_tokens=self.max_tokens, max_evaluations=self.max_evaluations,
            timeout_s=self.timeout, confirm=self.confirm, confirm_top=self.confirm_top,
        )  # fmt: skip


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `options`, a NamedTuple with defaults for all its fields, stands for each of them as
    an option of its own."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    place = [parameter.name for parameter in own].index("options")
    kind = own[place].annotation
    hints = get_type_hints(kind, include_extras=True)
    fields = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in kind._field_defaults.items()
    ]
    own[place : place + 1] = fields
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        options = kind(**{field.name: values.pop(field.name) for field in fields})
        command(options=options, **values)

    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010 - pyright knows no such attribute
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
