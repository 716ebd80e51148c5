"""The public face of the search: start or resume a run, under its lease and within its limits; have it confirmed."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from ..hardware_adapters.base import Problem, check_search_source, check_source, sandbox_required
from .answers import reason
from .each import beside
from .errors import (
    AgentError,
    AgentUsageError,
    JournalError,
    LeaseLostError,
    LimitExceeded,
    LimitType,
)
from .models.base import Models
from .runs.events import Listener
from .runs.journal import HEARTBEAT_S, Journal, Lease
from .runs.patience import patiently
from .runs.status import RunRow, RunState, RunStatus, Searched, search_seconds
from .search.lessons import check_reuse
from .search.loop import SearchLoop
from .search.record import RunRecord
from .settings import LIMITS, MOST_PARALLEL, SearchSettings
from .toolbox import Machine, Toolbox

log = logging.getLogger(__name__)


async def search(
    problem_id: str,
    settings: SearchSettings,
    *,
    toolbox: Toolbox,
    models: Models,
    journal: Journal,
    runs_dir: Path,
    source: str | None = None,
    listener: Listener | None = None,
    run_id: str | None = None,
    continues: str | None = None,
) -> RunStatus:
    """Search from `source`, or from the problem's baseline, until a limit or the goal is reached. `continues`: the run
    whose best kernel the source is.

    Returns the run's status: `finished`, or `failed` with the reason where the infrastructure, the model's service or
    the first kernel failed; `resume` goes on with such a run. Raises JournalError where not even that can be
    journalled; what was journalled before stays. A cancelled search is journalled as `cancelled`, and the cancellation
    goes on to the caller. Raises AgentUsageError (ToolUsageError for an unknown problem) and InfrastructureError before
    anything is journalled; InvalidSourceError for a source nobody would compile.
    """
    detail = await toolbox.get_problem(problem_id)
    start = source if source is not None else detail.baseline
    if start is None:
        raise AgentUsageError(f"{problem_id} has no baseline kernel: pass a source to start from")
    check_source(start)
    check_search_source(start, detail.problem.language)
    _check_priced(settings, models)
    check_reuse(journal, detail.problem, settings.reuse)
    if settings.confirm is not None:  # hours later would be late to learn that it is not there
        (await toolbox.machine(detail.problem.target)).check_engine(settings.confirm)
    hardware = await _hardware(toolbox, detail.problem)
    run_id = run_id or new_run_id()
    chosen = settings.model_dump(mode="json")
    lease = journal.create(run_id, problem_id, models.spec, chosen, start, continues=continues)
    return await _drive(lease, hardware, models, journal, Path(runs_dir), listener)


async def resume(
    run_id: str,
    *,
    toolbox: Toolbox,
    models: Models,
    journal: Journal,
    runs_dir: Path,
    listener: Listener | None = None,
    limits: Mapping[str, Any] | None = None,
) -> RunStatus:
    """Go on with a run where its journal ends; nothing finished is done again. A finished run is returned as it is,
    unless it gets new `limits` (some of settings.LIMITS): with those it goes on as if it had had them from the start,
    and its fastest kernels are confirmed after that, those that were confirmed already not again.

    Raises UnknownRunError, RunBusyError, and AgentUsageError for another model than the run's, and for limits that
    are no more than what the run has used.
    """
    row = journal.row(run_id)
    if models.spec != row.model:
        raise AgentUsageError(f"run {run_id!r} was made with model {row.model!r}, not {models.spec!r}")
    status = journal.status(run_id)
    if limits:
        _check_limits(row, status, search_seconds(journal.events(run_id)), limits)
        _check_priced(SearchSettings.model_validate(row.settings | dict(limits)), models)
    elif status.state == "finished":
        return status
    detail = await toolbox.get_problem(row.problem)
    hardware = await _hardware(toolbox, detail.problem)
    lease = journal.acquire(run_id)
    if limits:
        journal.append(lease, "limits", dict(limits))
    return await _drive(lease, hardware, models, journal, Path(runs_dir), listener)


def _check_priced(settings: SearchSettings, models: Models) -> None:
    if settings.max_cost_usd is not None and not models.priced:
        raise AgentUsageError(
            f"the price of model {models.spec!r} is not known, so max_cost_usd cannot be kept: "
            "name a file with its prices, or leave the limit out"
        )


def _check_limits(row: RunRow, status: RunStatus, searched_s: float, limits: Mapping[str, Any]) -> None:
    """Raises AgentUsageError."""
    replayed = status.iterations - row.settings["iterations"]  # steps of an earlier schedule come on top
    iteration = status.iteration if status.state == "finished" else status.iteration - 1
    used = {
        "iterations": max(0, iteration - replayed),
        "max_evaluations": status.evaluations,
        "max_cost_usd": status.cost_usd or 0.0,
        "max_tokens": status.tokens.total,
        "timeout_s": searched_s,
    }
    for name, limit in limits.items():
        if name not in LIMITS:
            raise AgentUsageError(f"{name!r} of a run cannot be changed; what can: {', '.join(LIMITS)}")
        if limit <= used[name]:
            raise AgentUsageError(f"run {status.run_id!r} has used {used[name]:.6g} of {name}; {limit:.6g} is no more")


def new_run_id() -> str:
    """Sorts by time: 20261120-153000-a1b2."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class _Hardware(NamedTuple):
    """What a session judges by."""

    problem: Problem
    toolbox: Toolbox
    machine: Machine


async def _hardware(toolbox: Toolbox, problem: Problem) -> _Hardware:
    """Raises SandboxLackingError."""
    machine = await toolbox.machine(problem.target)
    if sandbox_required():
        machine.check_sandbox()
    return _Hardware(problem, toolbox, machine)


async def _drive(
    lease: Lease, hardware: _Hardware, models: Models, journal: Journal, runs_dir: Path, listener: Listener | None
) -> RunStatus:
    """Whoever is stopped from here on leaves a run that says so: until the loop is watched there is nothing to wait
    for."""
    run_id, (problem, toolbox, machine) = lease.run_id, hardware
    try:
        settings = SearchSettings.model_validate(journal.row(run_id).settings)
        before = search_seconds(journal.events(run_id))
        confined = {"sandbox": machine.sandbox.model_dump(mode="json")} if machine.sandbox is not None else {}
        journal.append(lease, "session", {"model": models.spec, **confined})
        journal.set_state(lease, "running")
        at_once = settings.max_parallel_engine or min(MOST_PARALLEL, toolbox.room(machine))
        record = RunRecord(lease, journal, problem, settings, runs_dir, listener)
        loop = SearchLoop(record, journal, toolbox, models, at_once)
        await _within_limits(loop, settings, before, journal, lease)
    finally:
        with suppress(JournalError):  # the lease is no longer known to be alive, whatever its row says
            journal.release(lease)
    return journal.status(run_id)


async def _within_limits(
    loop: SearchLoop, settings: SearchSettings, before: float, journal: Journal, lease: Lease
) -> None:
    """Run the loop, have its kernels confirmed where that is asked for, and journal how it ended."""
    ended: _End | None = None
    try:
        async with _beating(journal, lease):
            ended = await _searched_and_confirmed(loop, settings, before)
    except BaseException as error:
        with suppress(LeaseLostError, JournalError):
            journal.set_state(lease, *_stopped_by(error))
        raise
    assert ended is not None
    await patiently(partial(journal.set_state, lease, *ended))
    loop.finish(ended.reason)


@asynccontextmanager
async def _beating(journal: Journal, lease: Lease) -> AsyncIterator[None]:
    """The lease stays alive within the block. Where it is lost, the block is cancelled and LeaseLostError raised."""
    lost: LeaseLostError | None = None

    async def beat(block: anyio.CancelScope) -> None:
        nonlocal lost
        while lost is None:
            await anyio.sleep(HEARTBEAT_S)
            try:
                journal.beat(lease)
            except LeaseLostError as error:
                lost = error
                block.cancel()
            except JournalError as error:  # it may pass; whoever has a result to write down finds out
                log.warning("%s", error)

    async with beside() as tasks:
        tasks.start_soon(beat, tasks.cancel_scope)
        yield
    if lost is not None:
        raise lost


async def _searched_and_confirmed(loop: SearchLoop, settings: SearchSettings, before: float) -> _End:
    ended = await _searched(loop, settings, before)
    if settings.confirm is None or ended.state != "finished":
        return ended
    found = Searched(reason=ended.reason, limit=ended.limit)
    confirmed = await _ended(partial(loop.confirm, settings.confirm, found), loop.run_id)
    return confirmed._replace(limit=found.limit) if confirmed.state == "finished" else confirmed


async def _searched(loop: SearchLoop, settings: SearchSettings, before: float) -> _End:
    """Search, unless the run stopped later than that. `before`: seconds in which it was searching already."""
    if loop.searched is not None:
        return _End("finished", loop.searched.reason, loop.searched.limit)
    began = time.monotonic()
    left = None if settings.timeout_s is None else max(0.0, settings.timeout_s - before)
    ended: _End | None = None
    with anyio.move_on_after(left) as deadline:
        ended = await _ended(loop.run, loop.run_id)
    if deadline.cancelled_caught and settings.timeout_s is not None:
        elapsed = before + time.monotonic() - began
        ended = _at_limit(LimitExceeded("time", elapsed, settings.timeout_s))
    assert ended is not None
    return ended


class _End(NamedTuple):
    state: RunState
    reason: str
    limit: LimitType | None = None


def _stopped_by(error: BaseException) -> _End:
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return _End("cancelled", "cancelled")
    return _End("failed", str(error) if isinstance(error, AgentError) else reason(error))


def _at_limit(limit: LimitExceeded) -> _End:
    return _End("finished", str(limit), limit.type)


async def _ended(part: Callable[[], Awaitable[str]], run_id: str) -> _End:
    """How this part of the run ended."""
    try:
        return _End("finished", await part())
    except LimitExceeded as limit:
        return _at_limit(limit)
    except (LeaseLostError, JournalError):
        raise
    except AgentError as error:
        log.warning("run %s failed: %s", run_id, error)
        return _End("failed", str(error))
