"""Searches that run in the background of a server process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from ..agent.answers import ENVIRONMENT
from ..agent.errors import AgentError, InfrastructureError, JournalError, UnknownRunError
from ..agent.runs.database import place_of
from ..agent.runs.journal import Journal
from ..agent.settings import SearchSettings
from ..hardware_adapters.base import AdapterError
from .bench import Bench, in_thread
from .job_table import JobTable
from .model_choice import model_options

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

log = logging.getLogger(__name__)

BEGIN_POLL_S = 0.25
STOP_POLL_S = 0.5


class Jobs:
    """The searches that this process drives. What they found is in the journal, and that they run in the job table, for
    any process of the home to read and to stop. `at_once`: how many a caller may have; None: any number."""

    def __init__(self, bench: Bench, tasks: TaskGroup, at_once: int | None = None) -> None:
        self._bench = bench
        self._tasks = tasks
        self._at_once = at_once
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._journal: Journal | None = None
        self._table: JobTable | None = None
        self._watching = False
        self._stopping = False

    @classmethod
    @asynccontextmanager
    async def running(cls, bench: Bench, at_once: int | None = None) -> AsyncIterator[Jobs]:
        """Jobs live as long as the server; leaving journals running searches as cancelled, to be resumed."""
        jobs = None
        try:
            async with anyio.create_task_group() as tasks:
                jobs = cls(bench, tasks, at_once)
                yield jobs
                tasks.cancel_scope.cancel()
        finally:
            for opened in (jobs._journal, jobs._table) if jobs is not None else ():
                if opened is not None:
                    opened.close()

    def journal(self) -> Journal:
        """One connection for all searches and questions of this process."""
        if self._journal is None:
            self._journal = Journal.of(self._bench.home)
        return self._journal

    def _jobs(self) -> JobTable:
        if self._table is None:
            self._table = JobTable(place_of(self._bench.home))
        return self._table

    def _driven(self, run_id: str) -> bool | None:
        try:
            self.journal().first_row(run_id)
        except UnknownRunError:
            return None
        return self.journal().driven(run_id)

    async def start(
        self,
        server: MCPServer[Jobs],
        problem: str,
        model: str,
        settings: SearchSettings,
        source: str | None,
        caller: str | None = None,
    ) -> str:
        """Begin a search; returns its run id once it is in the journal. Raises ToolError when there is no room for it,
        JournalError, and what the search raises at its start."""
        from ..agent.controller import new_run_id

        if self._stopping:
            raise ToolError(f"{ENVIRONMENT} the server is stopping; start the search when it is back")
        run_id = new_run_id()
        journal = self.journal()
        if not await in_thread(self._jobs().enter, run_id, caller, self._at_once, self._driven):
            raise ToolError(
                f"{self._at_once} of your searches are running, and this server allows no more of one caller. Wait for "
                "one with get_search(run, wait_s=45), or end one with cancel_search. (serve --max-searches N raises "
                "the limit.)"
            )
        if not self._watching:
            self._watching = True
            self._tasks.start_soon(self._watch)
        ended, failed = anyio.Event(), list[AgentError | AdapterError]()
        self._tasks.start_soon(self._drive, server, run_id, problem, model, settings, source, ended, failed)
        while not ended.is_set():
            with suppress(UnknownRunError):
                await in_thread(journal.row, run_id)
                break
            with anyio.move_on_after(BEGIN_POLL_S):
                await ended.wait()
        if failed:
            raise failed[0]
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
        failed: list[AgentError | AdapterError],
    ) -> None:
        """`ended` is set at its end; `failed` gets what it raised."""
        from ..agent.controller import search
        from ..agent.models.providers import make_models
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
                failed.append(error)
            except Exception:
                log.exception("search %s", run_id)
                failed.append(InfrastructureError(f"the search {run_id} failed; the server's log has the traceback"))
            finally:
                self._scopes.pop(run_id, None)
                with anyio.CancelScope(shield=True):
                    await self._leave(run_id)
                ended.set()

    async def _leave(self, run_id: str) -> None:
        try:
            await in_thread(self._jobs().leave, run_id)
        except JournalError as error:  # an entry too many does no harm: nobody drives its run any more
            log.warning("search %s has ended, but stays among the jobs: %s", run_id, error)

    async def cancel(self, run_id: str) -> bool:
        """Ask whichever server has it as a job to stop it; False when none has."""
        scope = self._scopes.get(run_id)
        if scope is not None:
            scope.cancel()
            return True
        return await in_thread(self._jobs().ask_to_stop, run_id)

    def drives(self, run_id: str) -> bool:
        return run_id in self._scopes

    def stop(self) -> None:
        """Stop all searches of this process, and begin none any more. They are journalled as cancelled."""
        self._stopping = True
        for scope in list(self._scopes.values()):
            scope.cancel()

    async def _watch(self) -> None:
        """Stop what other processes want stopped."""
        while True:
            await anyio.sleep(STOP_POLL_S)
            if not self._scopes:
                continue
            try:
                asked = await in_thread(self._jobs().to_stop)
            except JournalError as error:  # it may pass; the searches themselves wait for the database, too
                log.error("other processes cannot stop this one's searches: %s", error)
                await anyio.sleep(STOP_POLL_S * 10)
                continue
            for run_id in asked:
                if run_id in self._scopes:
                    self._scopes[run_id].cancel()
