"""Several kernels judged at once, within the bench's slots, and put in order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from ..agent.each import each
from ..hardware_adapters.base import Evaluation, InvalidSourceError, check_source
from .bench import Bench, in_thread
from .judging import HOST_PATIENCE_S, Request, judge
from .results import RankedKernel, Simulation, clip, short_evaluation

MAX_SOURCES = 8
MAX_MESSAGE = 150  # eight of them and one whole evaluation stay under 8 KB


class Judged(NamedTuple):
    positions: tuple[int, ...]
    source: str
    evaluation: Evaluation | None  # None: the time was over


async def rank(bench: Bench, ctx: Context, request: Request, sources: Sequence[str]) -> Simulation:
    """Judge every text once. Of an engine that a host would wait for, what is not judged in HOST_PATIENCE_S is left out
    and said to be. Raises ToolError when that is all of them, and what an evaluation raises."""
    chosen = await in_thread(request.adapter.engine, request.engine)
    within_s = HOST_PATIENCE_S if request.timeout_s is None and chosen.default else None
    texts: dict[str, list[int]] = {}
    for position, source in enumerate(sources):
        try:
            check_source(source)
        except InvalidSourceError as error:
            raise InvalidSourceError(f"sources[{position}]: {error}") from error
        texts.setdefault(source, []).append(position)
    found: dict[str, Evaluation] = {}

    async def judge_one(source: str) -> None:
        found[source] = evaluation = await judge(bench, request, source, nullcontext())
        await ctx.report_progress(len(found), len(texts), _progress(texts[source][0], evaluation))

    await ctx.report_progress(0, len(texts), f"simulating {len(texts)} kernels")
    with anyio.move_on_after(within_s):
        await each(tuple(texts), judge_one, stop_at_failure=True)
    if not found:
        raise ToolError(
            f"none of the {len(texts)} kernels was judged in {HOST_PATIENCE_S:.0f} s, which is what one call has by "
            "default: pass fewer, or `timeout_s` (per kernel), if your host waits so long"
        )
    judged = [Judged(tuple(positions), source, found.get(source)) for source, positions in texts.items()]
    judged.sort(key=_order)
    best = next(entry.evaluation for entry in judged if entry.evaluation is not None)
    ranking = tuple(_entry(entry) for entry in judged)
    return Simulation(**short_evaluation(best).model_dump(), ranking=ranking)


def _order(entry: Judged) -> tuple[int, float, int]:
    evaluation = entry.evaluation
    if evaluation is None:
        return 2, 0.0, entry.positions[0]
    if evaluation.passed and evaluation.latency is not None:
        return 0, evaluation.latency.value, entry.positions[0]
    return 1, 0.0, entry.positions[0]


def _entry(entry: Judged) -> RankedKernel:
    evaluation = entry.evaluation
    if evaluation is None:
        return RankedKernel(
            sources=entry.positions, message="not reached in time: simulate it again, alone or with less"
        )
    diagnostics = evaluation.compilation.diagnostics if evaluation.compilation else ()
    errors = [found.line for found in diagnostics if found.severity == "error"]
    line = evaluation.fault.line if evaluation.fault else next(iter(errors), None)
    latency = evaluation.latency
    return RankedKernel(
        sources=entry.positions,
        kernel=evaluation.kernel,
        verdict=evaluation.verdict,
        message=clip(evaluation.message, MAX_MESSAGE),
        latency=latency.value if latency else None,
        unit=latency.unit if latency else None,
        utilisation=evaluation.utilisation,
        line=line,
    )


def _progress(position: int, evaluation: Evaluation) -> str:
    latency = evaluation.latency
    result = f"{latency.value:,.0f} {latency.unit}" if latency else evaluation.verdict
    return f"kernel {position}: {result}"
