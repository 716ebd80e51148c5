"""start_search, get_search and cancel_search: the controller as a job of this server."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field, ValidationError

from ..agent.errors import AgentError, AgentUsageError, InfrastructureError, UnknownRunError
from ..agent.journal import Journal
from ..agent.settings import SearchSettings
from ..agent.status import RunStatus
from ..hardware_adapters.base import AdapterError, check_source
from .bench import MAX_ERROR, Bench, in_thread, reported
from .problems import ProblemId
from .results import answer, clip, page

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

log = logging.getLogger(__name__)

MODEL_VARIABLE = "AUTOCOMP_MODEL"
PRICES_VARIABLE = "AUTOCOMP_PRICES"
DEFAULT_ANTHROPIC_MODEL = "claude-sonnet-5-5"
MAX_WAIT_S = 45.0
POLL_S = 0.25
MAX_LINEAGE_TEXT = 300
MAX_CONFIRMATIONS = 8

RunId = Annotated[str, Field(description="As returned by start_search", min_length=1, max_length=64)]


def default_model() -> str:
    """`AUTOCOMP_MODEL`, else the Anthropic API where a key is set, else the offline tuner."""
    named = os.environ.get(MODEL_VARIABLE)
    if named:
        return named
    return f"anthropic:{DEFAULT_ANTHROPIC_MODEL}" if os.environ.get("ANTHROPIC_API_KEY") else "offline"


def canonical(model: str) -> str:
    """The one way to write it, which the journal keeps: `resume` may run elsewhere, so a recording has its whole path.

    Raises AgentUsageError.
    """
    from ..agent.models.spec import ModelSpec

    provider, _, rest = model.strip().partition(":")
    if provider == "replay" and rest:
        return f"replay:{Path(rest).expanduser().absolute()}"
    return str(ModelSpec.parse(model))


def model_options(settings: SearchSettings) -> dict[str, Any]:
    """For make_models: what the settings, and the user's prices (AUTOCOMP_PRICES), say of the models."""
    given = {"base_url": settings.base_url, "batch": settings.batch or None, "prices": os.environ.get(PRICES_VARIABLE)}
    return {name: value for name, value in given.items() if value is not None}


class Jobs:
    """The searches that this server process drives. What they found is in the journal, for any process to read."""

    def __init__(self, bench: Bench, tasks: TaskGroup) -> None:
        self._bench = bench
        self._tasks = tasks
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._failures: dict[str, str] = {}
        self._journal: Journal | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, bench: Bench) -> AsyncIterator[Jobs]:
        """Jobs live as long as the server; leaving journals running searches as cancelled, to be resumed."""
        jobs = None
        try:
            async with anyio.create_task_group() as tasks:
                jobs = cls(bench, tasks)
                yield jobs
                tasks.cancel_scope.cancel()
        finally:
            if jobs is not None and jobs._journal is not None:
                jobs._journal.close()

    def journal(self) -> Journal:
        """One connection for all searches and questions of this process."""
        if self._journal is None:
            self._journal = Journal(self._bench.home.database)
        return self._journal

    async def start(
        self, server: MCPServer[Jobs], problem: str, model: str, settings: SearchSettings, source: str | None
    ) -> str:
        """Begin a search; returns its run id once it is in the journal. Raises what the search refuses at its start."""
        from ..agent.controller import new_run_id

        run_id = new_run_id()
        started = anyio.Event()
        self._tasks.start_soon(self._drive, server, run_id, problem, model, settings, source, started)
        journal = self.journal()
        while not started.is_set():
            with suppress(UnknownRunError):
                await in_thread(journal.run, run_id)
                break
            with anyio.move_on_after(POLL_S):
                await started.wait()
        if run_id in self._failures:
            raise ToolError(clip(self._failures.pop(run_id), MAX_ERROR))
        return run_id

    async def _drive(
        self,
        server: MCPServer[Jobs],
        run_id: str,
        problem: str,
        model: str,
        settings: SearchSettings,
        source: str | None,
        ended: anyio.Event,
    ) -> None:
        from ..agent.controller import search
        from ..agent.models.base import make_models
        from ..agent.toolbox import Toolbox

        with anyio.CancelScope() as scope:
            self._scopes[run_id] = scope
            try:
                async with Toolbox.connect(server) as toolbox:
                    models = make_models(model, toolbox, **model_options(settings))
                    try:
                        await search(
                            problem, settings, toolbox=toolbox, models=models, journal=self.journal(),
                            runs_dir=self._bench.home.path / "runs", source=source, run_id=run_id,
                        )  # fmt: skip
                    finally:
                        await models.aclose()
            except (AgentError, AdapterError) as error:
                self._failures[run_id] = str(error)
            except Exception:
                log.exception("search %s", run_id)
                self._failures[run_id] = f"environment: the search {run_id} failed; the server's log has the traceback"
            finally:
                self._scopes.pop(run_id, None)
                ended.set()

    def cancel(self, run_id: str) -> bool:
        """True when this process drove it."""
        scope = self._scopes.get(run_id)
        if scope is not None:
            scope.cancel()
        return scope is not None


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
        """Optimize a kernel (Gemmini GEMM, matmul, convolution) by a search in the background: plan, generate,
        simulate, select, again.

        Use it to leave the work to the controller. Not for improving a kernel by hand: simulate_kernel and the menu do
        that. Returns a run id; follow it with get_search(run, wait_s=45). Takes 1 s to begin; the search itself about
        120 s with the offline model, longer and for money with a language model (set max_cost_usd).
        """
        jobs = _jobs(ctx)
        try:
            spec = canonical(model or default_model())
        except AgentUsageError as error:
            raise ToolError(str(error)) from error
        with reported():
            adapter, found = await bench.problem(problem)
            if source is not None:
                check_source(source)
        if "base_url" in (settings or {}):  # a caller could have the server's key sent to an address of his own
            raise ToolError("settings: base_url is set where the server runs: ANTHROPIC_BASE_URL, OPENAI_BASE_URL")
        try:
            with reported():
                chosen = SearchSettings.for_model(spec, **(settings or {}))
        except ValidationError as error:
            known = ", ".join(SearchSettings.model_fields)
            first = error.errors()[0]
            where = clip(".".join(map(str, first["loc"])) or "settings")
            raise ToolError(f"settings: {where}: {first['msg']}; known settings: {known}") from error
        with reported():
            if chosen.engine is not None:
                await in_thread(adapter.search_engine, chosen.engine)
            if chosen.confirm is not None:
                await in_thread(adapter.engine, chosen.confirm)
        run_id = await jobs.start(await in_thread(whole), found.id, spec, chosen, source)
        return answer(await _status(jobs, run_id, 0))

    @server.tool(title="Look at a search", annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True))
    async def get_search(
        run: RunId,
        ctx: Context,
        wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S, description="Wait so long for news")] = 0.0,
        offset: Annotated[int, Field(ge=0, description="Of best_source, when it is paged")] = 0,
    ) -> Annotated[CallToolResult, SearchStatus]:
        """How a search is doing, or what a finished one found. Works for runs of any process on this machine.

        With wait_s it answers as soon as the best kernel or the state changes, or when the time is over: prefer one
        long wait to many short ones. Not for starting or resuming a search. Returns state, best latency and speed-up,
        cost, the steps that led there, and the best kernel's source, in pages when it is long. Takes under 1 s, with
        wait_s up to that.
        """
        jobs = _jobs(ctx)
        first = await _status(jobs, run, offset)
        latest = first
        with anyio.move_on_after(wait_s):
            while latest.state == "running" and _news(latest) == _news(first):
                done, total = latest.iteration, latest.iterations
                await ctx.report_progress(done, total, f"iteration {done} of {total}, {latest.evaluations} evaluations")
                await anyio.sleep(POLL_S)
                latest = await _status(jobs, run, offset)
        return answer(latest)

    @server.tool(title="Stop a search", annotations=ToolAnnotations(destructive_hint=False, idempotent_hint=True))
    async def cancel_search(run: RunId, ctx: Context) -> Annotated[CallToolResult, SearchStatus]:
        """Stop a search that this server runs.

        Use it when what was found suffices. Not needed for finished runs, and not able to stop those of another
        process. Returns the run's status: what it found stays, and it can be resumed (`autocomp-mcp resume RUN`). Takes
        up to 10 s.
        """
        jobs = _jobs(ctx)
        status = await _status(jobs, run, 0)
        if status.state == "running":
            if not jobs.cancel(run):
                raise ToolError(f"run {run!r} is driven by another process; stop it there (Ctrl-C)")
            with anyio.move_on_after(10):
                while status.state == "running":
                    await anyio.sleep(POLL_S / 5)
                    status = await _status(jobs, run, 0)
        return answer(status)


def _jobs(ctx: Context) -> Jobs:
    return cast(Jobs, ctx.request_context.lifespan_context)


def _news(status: RunStatus) -> tuple[object, ...]:
    return status.state, status.best and status.best.candidate, len(status.confirmations)


async def _status(jobs: Jobs, run_id: str, offset: int) -> SearchStatus:
    try:
        status = await in_thread(jobs.journal().status, run_id)
    except InfrastructureError as error:
        raise ToolError(f"environment: {error}") from error
    except AgentUsageError as error:
        raise ToolError(str(error)) from error
    source, more = page(status.best_source, offset) if status.best_source else (None, None)
    steps = tuple(s.model_copy(update={"plan": s.plan and s.plan[:MAX_LINEAGE_TEXT]}) for s in status.lineage[-24:])
    found = tuple(
        c.model_copy(update={"message": clip(c.message, MAX_LINEAGE_TEXT // 2)})
        for c in status.confirmations[:MAX_CONFIRMATIONS]
    )
    short = status.model_copy(update={"best_source": source, "lineage": steps, "confirmations": found})
    return SearchStatus(**short.model_dump(), next_offset=more)
