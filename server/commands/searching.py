"""optimize, its estimate, continue and resume: the controller in this process, its tools in memory or on other
servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ...agent.controller import new_run_id, search
from ...agent.controller import resume as resume_search
from ...agent.errors import AgentUsageError
from ...agent.estimate import Estimate
from ...agent.estimate import estimate as reckon
from ...agent.models.base import Models
from ...agent.models.providers import make_models
from ...agent.models.recording import recorded
from ...agent.models.spec import ModelSpec
from ...agent.runs.journal import Journal
from ...agent.runs.status import RunStatus
from ...agent.settings import SearchSettings
from ...agent.toolbox import Toolbox
from ...hardware_adapters.base import mistakes
from ...hardware_adapters.registry import adapter_for
from ...hardware_adapters.store import Home
from ...tools.model_choice import canonical, default_model, model_options
from ..serving.telemetry import set_up
from ..shell import DONE, ENVIRONMENT, KERNEL_FAILED, LIMIT, Stopped, emit, guarded, read_source, run, say, tell
from ..terminal.display import Display
from ..terminal.summary import estimate_lines, summary_lines
from .options import SearchOptions
from .own import problem_id_of
from .reading import find_run, status_json
from .remote import connected

LIMIT_OPTIONS = {
    "cost": "--max-cost USD", "tokens": "--max-tokens N", "evaluations": "--max-evaluations N", "time": "--timeout S",
}  # fmt: skip

Drive = Callable[[Toolbox, Display, Journal, Path], Awaitable[RunStatus]]


def _spec(options: SearchOptions) -> str:
    """Of the models, as the journal keeps it. Says which model the default is. Raises AgentUsageError."""
    both, planners, coders = options.model or [], options.plan_model or [], options.code_model or []
    if not both and not (planners and coders):
        both = [default_model()]
        if both == ["offline"]:
            say("model: offline, the rule-based tuner (no ANTHROPIC_API_KEY set; --model chooses another)")
        else:
            say(f"model: {both[0]} (--model chooses another)")
    return canonical(str(ModelSpec.combined(both, planners, coders)))


def optimize(problem: str, source: Path | None, options: SearchOptions) -> int:
    def command() -> int:
        changes = options.changes | _pairs(options)
        wanted = problem_id_of(problem)
        if not options.server:
            _check(wanted, changes.get("engine"), changes.get("confirm"))
        spec = _spec(options)
        settings = _settings(lambda: SearchSettings.for_model(spec, **changes))
        text = read_source(source) if source is not None else None
        return _begin(wanted, settings, spec, text, options)

    return guarded(command, options.json)


def continue_(run: str, options: SearchOptions) -> int:
    """A new run from the best kernel of another, with that one's model and settings where none are given."""

    def command() -> int:
        journal = Journal.of(Home())
        earlier = journal.row(find_run(journal, run))
        best = journal.status(earlier.run_id).best_source
        if best is None:
            raise AgentUsageError(
                f"run {earlier.run_id} has no kernel that passes its evaluation yet, nothing to continue from; "
                f"go on with: autocomp-mcp resume {earlier.run_id}"
            )
        # Its steps are in the kernel already: no schedule is replayed on top of them unless that is asked for.
        given = {"reuse": "none"} | options.changes | _pairs(options)
        spec = _spec(options) if options.model or options.plan_model or options.code_model else earlier.model
        kept = {} if "preset" in given else earlier.settings
        settings = _settings(lambda: SearchSettings.for_model(spec, **(kept | given)))
        if not options.server:
            _check(earlier.problem, settings.engine, settings.confirm)
        return _begin(earlier.problem, settings, spec, best, options, continues=earlier.run_id)

    return guarded(command, options.json)


def estimate(problem: str, source: Path | None, options: SearchOptions) -> int:
    """What `optimize` with the same options would cost; no model is asked."""

    def command() -> int:
        spec = _spec(options)
        settings = _settings(lambda: SearchSettings.for_model(spec, **(options.changes | _pairs(options))))
        text = read_source(source) if source is not None else None
        wanted = problem_id_of(problem)

        async def work() -> Estimate:
            async with (
                connected(wanted, options.server or [], settings.engine) as toolbox,
                models_of(spec, toolbox, settings, None) as models,
            ):
                detail = await toolbox.get_problem(wanted)
                return await reckon(detail.problem, text or detail.baseline or "", settings, models)

        found = run(work)
        if options.json:
            emit({"problem": wanted, "model": spec, **found.model_dump(mode="json")})
        else:
            tell(*estimate_lines(found))
        return DONE

    return guarded(command, options.json)


def _begin(
    problem: str,
    settings: SearchSettings,
    spec: str,
    source: str | None,
    options: SearchOptions,
    continues: str | None = None,
) -> int:
    if settings.reuse not in ("auto", "none"):
        settings = settings.model_copy(update={"reuse": find_run(Journal.of(Home()), settings.reuse)})
    run_id = new_run_id()

    async def drive(toolbox: Toolbox, display: Display, journal: Journal, runs_dir: Path) -> RunStatus:
        async with models_of(spec, toolbox, settings, options.record) as models:
            return await search(
                problem, settings, toolbox=toolbox, models=models, journal=journal, runs_dir=runs_dir,
                source=source, listener=display.update, run_id=run_id, continues=continues,
            )  # fmt: skip

    return _run(run_id, problem, options.server or [], settings.engine, options.json, drive, options.dashboard)


def resume(
    run: str, servers: list[str], limits: dict[str, Any], record: Path | None, as_json: bool, dashboard: bool = False
) -> int:
    def command() -> int:
        journal = Journal.of(Home())
        row = journal.row(find_run(journal, run))
        settings = _settings(lambda: SearchSettings.model_validate(row.settings | limits))

        async def drive(toolbox: Toolbox, display: Display, journal: Journal, runs_dir: Path) -> RunStatus:
            async with models_of(row.model, toolbox, settings, record, resumed=True) as models:
                return await resume_search(
                    row.run_id, toolbox=toolbox, models=models, journal=journal, runs_dir=runs_dir,
                    listener=display.update, limits=limits,
                )  # fmt: skip

        return _run(row.run_id, row.problem, servers, row.settings.get("engine"), as_json, drive, dashboard)

    return guarded(command, as_json)


def _showing(
    run_id: str, home: Home, wanted: bool, announce: Callable[[str], None]
) -> AbstractAsyncContextManager[None]:
    """The run's page for this machine's browser as long as the search goes on."""
    if not wanted:
        return nullcontext()
    from ..serving.dashboard import dashboard

    return dashboard(run_id, home, announce)


def _pairs(options: SearchOptions) -> dict[str, Any]:
    """`--set NAME=VALUE`; the values as YAML reads them. Raises AgentUsageError."""
    found: dict[str, Any] = {}
    for pair in options.changed or []:
        name, equals, text = pair.partition("=")
        if not equals or name not in SearchSettings.model_fields:
            known = ", ".join(SearchSettings.model_fields)
            raise AgentUsageError(f"--set {pair!r}: expected NAME=VALUE with one of: {known}")
        try:
            found[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise AgentUsageError(f"--set {pair!r}: {error}") from error
    return found


@asynccontextmanager
async def models_of(
    spec: str, toolbox: Toolbox, settings: SearchSettings, record: Path | None = None, *, resumed: bool = False
) -> AsyncIterator[Models]:
    """The run's models; `record`: the file that keeps every exchange. Raises as make_models."""
    models = make_models(spec, toolbox, **model_options(settings))
    try:
        with recorded(models, record, resumed=resumed) if record else nullcontext():
            yield models
    finally:
        await models.aclose()


@asynccontextmanager
async def under_display(
    problem: str, servers: list[str], engine: str | None, as_json: bool
) -> AsyncIterator[tuple[Display, Toolbox]]:
    """The live display of a search and the tools that it calls; an engine of this process is built first, where it is
    not yet. Raises as `connected` and HardwareAdapter.prepare."""
    with Display(problem, as_json) as display:
        if not servers:
            await adapter_for(problem).prepare(engine, display.building)
        async with connected(problem, servers, engine, display.note) as toolbox:
            yield display, toolbox


def _settings(make: Callable[[], SearchSettings]) -> SearchSettings:
    """Raises AgentUsageError, which names the setting."""
    try:
        return make()
    except ValidationError as error:
        raise AgentUsageError(mistakes(error)) from error


def _check(problem: str, engine: str | None, confirm: str | None = None) -> None:
    """Typos are refused before anything starts. Raises UnknownProblemError, UnknownEngineError, UsageError."""
    adapter = adapter_for(problem)
    adapter.problem(problem)
    adapter.search_engine(engine)
    if confirm is not None:
        adapter.engine(confirm)


def _run(
    run_id: str,
    problem: str,
    servers: list[str],
    engine: str | None,
    as_json: bool,
    drive: Drive,
    dashboard: bool = False,
) -> int:
    """Drive a search under the live display; SIGINT and SIGTERM stop it cleanly, whatever it found is kept."""
    set_up(scraped=False)
    home = Home()
    journal = Journal.of(home)
    stopped: Stopped | None = None

    async def work() -> None:
        async with (
            under_display(problem, servers, engine, as_json) as (display, toolbox),
            _showing(run_id, home, dashboard, display.note),
        ):
            await drive(toolbox, display, journal, home.path / "runs")

    try:
        run(work)
    except Stopped as stop:
        stopped = stop
        if run_id not in journal.run_ids():
            say("the search had not begun")
            raise
    status = journal.status(run_id)
    if as_json:
        emit(status_json(status, home))
    else:
        tell(*summary_lines(status, home))
    if stopped is not None:
        say(f"{stopped}; go on with: autocomp-mcp resume {run_id}")
        return stopped.status
    if status.state == "failed":
        if status.evaluations and status.baseline is None:  # the kernel to start from was judged and did not pass
            say(f"autocomp-mcp: {status.stop_reason}")
            return KERNEL_FAILED
        say(f"autocomp-mcp: {status.stop_reason}; go on with: autocomp-mcp resume {run_id}")
        return ENVIRONMENT
    if status.limit is not None:
        say(f"go on with: autocomp-mcp resume {run_id} {LIMIT_OPTIONS[status.limit]}")
    if status.best is None and status.confirmations:
        say(f"autocomp-mcp: {status.stop_reason}")
        return KERNEL_FAILED
    return DONE if status.best is not None else LIMIT
