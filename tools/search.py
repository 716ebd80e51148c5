"""start_search, get_search and cancel_search: the controller as a job of this server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field, ValidationError

from ..agent.errors import AgentUsageError
from ..agent.runs.status import RunStatus
from ..agent.settings import SearchSettings
from ..hardware_adapters.base import check_search_source, check_source, mistakes
from .bench import HEARTBEAT_S, Bench, in_thread, reported
from .callers import caller_of
from .jobs import Jobs
from .model_choice import canonical, default_model, names_recording
from .problems import ProblemId
from .results import answer, clip, page

MAX_WAIT_S = 45.0
POLL_S = 0.25
NEWS_AFTER_S = 5.0  # every answer is a turn of the caller's model: the first kernels of a search follow fast
STOPS_WITHIN_S = 10.0
MAX_LINEAGE_TEXT = 300
MAX_CONFIRMATIONS = 8
VIEW = "ui://autocomp/search"  # what hosts that show MCP Apps show of a search

RunId = Annotated[str, Field(description="As returned by start_search", min_length=1, max_length=64)]


class SearchStatus(RunStatus):
    """A run's status; `best_source` is the fastest correct kernel so far, paged when it is long."""

    next_offset: int | None = Field(
        default=None,
        description="Set when best_source goes on: call get_search again with offset=next_offset and append",
    )


def register(server: MCPServer[Any], bench: Bench, whole: Callable[[], MCPServer[Any]]) -> None:
    """`whole`: the server whose tools a search calls; asked for when a search starts."""

    @server.tool(title="Start a search", annotations=ToolAnnotations(destructive_hint=False, open_world_hint=True))
    async def start_search(
        problem: ProblemId,
        ctx: Context,
        source: Annotated[str | None, Field(description="Kernel to start from; default: the baseline")] = None,
        model: Annotated[
            str | None,
            Field(
                max_length=400,
                description="offline (free, rule-based) or PROVIDER:NAME (anthropic, bedrock, vertex, openai); several "
                "with weights: A@2,B; planners > coders: P > C. Default: what is set up",
            ),
        ] = None,
        settings: Annotated[
            dict[str, Any] | None,
            Field(
                description="Changes to the defaults: iterations, plans, codes, beam, seed, timeout_s, max_cost_usd, "
                "preset (autocomp-gemmini, … : as published), reuse (auto, none or a run id) …"
            ),
        ] = None,
    ) -> Annotated[CallToolResult, SearchStatus]:
        """Optimize a kernel (Gemmini, Trainium or NVIDIA; GEMM, matmul, convolution, attention, …) by a search in the
        background: plan, generate, simulate, select, again.

        Use it to leave the work to the controller. Not for improving a kernel by hand: simulate_kernel and the menu do
        that. Returns a run id; follow it with get_search(run, wait_s=45). Takes 1 s to begin; the search itself about
        120 s with the offline model, which changes only kernels that carry a schedule; longer and for money with a
        language model (set max_cost_usd).
        """
        jobs = _jobs(ctx)
        caller = caller_of(ctx.request_context)
        with reported():
            if caller is not None and model is not None and names_recording(model):
                raise ToolError("model: replay:FILE reads a file of the server; over HTTP nobody may name one")
            spec = canonical(model or default_model())
            adapter, found = await bench.problem(problem)
            if source is not None:
                check_source(source)
                check_search_source(source, found.language)
            chosen = _settings(spec, settings or {})
            await in_thread(adapter.search_engine, chosen.engine)
            if chosen.confirm is not None:
                await in_thread(adapter.engine, chosen.confirm)
            run_id = await jobs.start(await in_thread(whole), found.id, spec, chosen, source, caller)
            return answer(await _status(jobs, run_id, 0))

    @server.tool(
        title="Look at a search",
        annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True),
        meta={"ui": {"resourceUri": VIEW}},
    )
    async def get_search(
        run: RunId,
        ctx: Context,
        wait_s: Annotated[
            float, Field(ge=0, le=MAX_WAIT_S, description="Wait up to so long for the end, or for a better kernel")
        ] = 0.0,
        offset: Annotated[int, Field(ge=0, description="Of best_source, when it is paged")] = 0,
    ) -> Annotated[CallToolResult, SearchStatus]:
        """How a search is doing, or what a finished one found. Works for runs of any process on this machine.

        With wait_s it answers when the search ends, after 5 s or more also when there is a better kernel, or when the
        time is over: prefer one long wait to many short ones. Not for starting or resuming a search. Returns state,
        best latency and speed-up, cost, the steps that led there, and the best kernel's source, in pages when it is
        long. Takes under 1 s, with wait_s up to that.
        """
        with reported():
            return answer(await _followed(_jobs(ctx), run, offset, wait_s, ctx))

    @server.tool(title="Stop a search", annotations=ToolAnnotations(destructive_hint=False, idempotent_hint=True))
    async def cancel_search(run: RunId, ctx: Context) -> Annotated[CallToolResult, SearchStatus]:
        """Stop a search that was begun with start_search, here or at another server of the same home.

        Use it when what was found suffices. Not needed for finished runs, and not able to stop those of the command
        line. Returns the run's status: what it found stays, and it can be resumed (`autocomp-mcp resume RUN`). Takes
        up to 10 s.
        """
        with reported():
            return answer(await _stopped(_jobs(ctx), run))


def _settings(spec: str, given: dict[str, Any]) -> SearchSettings:
    """Raises AgentUsageError."""
    if "base_url" in given:  # a caller could have the server's key sent to an address of his own
        raise AgentUsageError("settings: base_url is set where the server runs: ANTHROPIC_BASE_URL, OPENAI_BASE_URL")
    if not isinstance(given.get("preset"), str | None):
        raise AgentUsageError(f"settings: preset is a name, not {given['preset']!r}")
    try:
        return SearchSettings.for_model(spec, **given)
    except ValidationError as error:
        known = ", ".join(SearchSettings.model_fields)
        found = clip(mistakes(error, "settings"))
        raise AgentUsageError(f"settings: {found}; known settings: {known}") from error


def _jobs(ctx: Context) -> Jobs:
    return cast(Jobs, ctx.request_context.lifespan_context)


async def _followed(jobs: Jobs, run: str, offset: int, wait_s: float, ctx: Context) -> SearchStatus:
    """Its status when it ends, when there is news, or when the time is over. Raises UnknownRunError, JournalError."""
    pulse = await in_thread(jobs.journal().pulse, run)
    latest = first = await _status(jobs, run, offset)
    began, told = anyio.current_time(), ("", -HEARTBEAT_S)
    with anyio.move_on_after(wait_s):
        while latest.state == "running":
            elapsed = anyio.current_time() - began
            if elapsed >= NEWS_AFTER_S and _news(latest) != _news(first):
                break
            doing = f"iteration {latest.iteration} of {latest.iterations}, {latest.evaluations} evaluations"
            if doing != told[0] or elapsed >= told[1] + HEARTBEAT_S:
                await ctx.report_progress(elapsed, wait_s, doing)  # seconds: what else there is may stand still
                told = doing, elapsed
            await anyio.sleep(POLL_S)
            if (now := await in_thread(jobs.journal().pulse, run)) != pulse:  # a status takes reading the whole run
                pulse, latest = now, await _status(jobs, run, offset)
    return latest if latest.state != "running" else await _status(jobs, run, offset)


def _news(status: RunStatus) -> tuple[object, ...]:
    return status.best and status.best.candidate, len(status.confirmations)


async def _stopped(jobs: Jobs, run: str) -> SearchStatus:
    """Raises ToolError where no server drives it, UnknownRunError, JournalError."""
    pulse = await in_thread(jobs.journal().pulse, run)
    status = await _status(jobs, run, 0)
    if status.state != "running":
        return status
    if not await jobs.cancel(run):
        raise ToolError(f"run {run!r} is not driven by a server; stop it where it runs (Ctrl-C)")
    with anyio.move_on_after(STOPS_WITHIN_S):
        while status.state == "running":
            await anyio.sleep(POLL_S / 5)
            if (now := await in_thread(jobs.journal().pulse, run)) != pulse:
                pulse, status = now, await _status(jobs, run, 0)
    if status.state == "running" and jobs.drives(run):  # what it runs ends first, on a machine that is busy
        return status.model_copy(update={"stop_reason": "asked to stop; get_search says when it has"})
    if status.state == "running":
        raise ToolError(
            f"run {run!r} was asked to stop but has not within {STOPS_WITHIN_S:.0f} s: look again with "
            "get_search. If it goes on, the command line drives it; stop it there (Ctrl-C)"
        )
    return status


async def _status(jobs: Jobs, run_id: str, offset: int) -> SearchStatus:
    """Raises UnknownRunError, JournalError; AgentUsageError for an offset past the end."""
    status = await in_thread(jobs.journal().status, run_id)
    if status.best_source is not None and offset > len(status.best_source):
        raise AgentUsageError(
            f"offset {offset} is past the end: the best kernel now has {len(status.best_source)} characters; "
            "where the search has found a better one meanwhile, read it again from the beginning"
        )
    source, more = page(status.best_source, offset) if status.best_source else (None, None)
    steps = tuple(s.model_copy(update={"plan": s.plan and s.plan[:MAX_LINEAGE_TEXT]}) for s in status.lineage[-24:])
    found = tuple(
        c.model_copy(update={"message": clip(c.message, MAX_LINEAGE_TEXT // 2)})
        for c in status.confirmations[:MAX_CONFIRMATIONS]
    )
    short = status.model_copy(update={"best_source": source, "lineage": steps, "confirmations": found})
    return SearchStatus(**short.model_dump(), next_offset=more)
