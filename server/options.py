"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Servers = Annotated[
    list[str] | None, typer.Option("--server", help="URL of an MCP server to use instead of this process")
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
Iterations = Annotated[int | None, typer.Option("--iterations", min=1)]
Plans = Annotated[int | None, typer.Option("--plans", min=1, help="plans per candidate of the beam")]
Codes = Annotated[int | None, typer.Option("--codes", min=1, help="implementations per plan")]
Beam = Annotated[int | None, typer.Option("--beam", min=1, help="candidates that go on")]
SearchSeed = Annotated[int | None, typer.Option("--seed", min=0)]
Preset = Annotated[str | None, typer.Option("--preset", help="settings by name, e.g. autocomp-gemmini: as published")]
Reuse = Annotated[
    str | None, typer.Option("--reuse", help="schedule to replay first: auto (default: of the nearest run), RUN, none")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="any other setting, e.g. dropout=0.7")
]
Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="ENGINE", help="judge the fastest kernels with this engine too")
]
ConfirmTop = Annotated[int | None, typer.Option("--confirm-top", min=1, help="how many of them; 3")]

# Of searches: where they end
MaxCost = Annotated[float | None, typer.Option("--max-cost", metavar="USD", help="stop before spending more")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="stop before using more, in and out")]
MaxEvaluations = Annotated[int | None, typer.Option("--max-evaluations", min=1)]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", help="wall clock, in seconds")]
