"""The loop itself: plan, generate, evaluate; then select, again and again."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import AgentUsageError
from ..models.base import Models, PlanReply, PlanRequest
from ..runs.candidate import ROOT, Candidate, Plan
from ..runs.journal import Journal
from ..runs.status import Searched
from ..toolbox import Toolbox
from .asking import Asker
from .beam import select
from .brake import Brake
from .confirming import confirm
from .judging import Judge
from .lessons import Lessons, gather
from .permits import Permits
from .pipeline import Pipeline
from .planning import Planner
from .record import RunRecord

BARREN = 3  # iterations in a row without a new kernel, after which the search has dried up
REPLAY_BEAM = 2  # candidates that go on while an earlier run's schedule is replayed


class SearchLoop:
    def __init__(self, record: RunRecord, journal: Journal, toolbox: Toolbox, models: Models, at_once: int) -> None:
        """`at_once`: evaluations under way."""
        self.run_id = record.run_id
        self._problem = record.problem
        self._settings = record.settings
        self._toolbox = toolbox
        self._journal = journal
        self._source = journal.row(record.run_id).source
        self._record = record
        brake = Brake()
        self._judge = Judge(record, toolbox, brake, at_once)
        lessons = self._lessons()
        self._schedule = lessons.schedule
        self._steps: tuple[Plan, ...] = lessons.schedule.steps if lessons.schedule else ()
        self._planner = Planner(record, toolbox, models, self._judge, lessons)
        asker = Asker(record, models, brake)
        self._pipeline = Pipeline(record, self._planner, asker, self._judge)

    def _lessons(self) -> Lessons:
        """Those the run began with."""
        known = self._record.get("lessons")
        if known is not None:
            return Lessons.model_validate({key: known[key] for key in Lessons.model_fields})
        settings = self._settings
        memory = settings.menu_choice == "adaptive" or settings.examples > 0
        lessons = gather(self._journal, self._problem, settings.reuse, memory=memory)
        about = {"target": self._problem.target, "family": self._problem.family, "dims": self._problem.dims}
        self._record.put("problem", "problem", about)
        self._record.put("lessons", "lessons", lessons.model_dump(mode="json"))
        return lessons

    async def run(self) -> str:
        """Search to the end; returns why it ended. Raises LimitExceeded and what `resume` may get over."""
        record, settings = self._record, self._settings
        found = self._schedule
        record.iterations += len(self._steps)
        record.tell("started", message=found and f"replaying the {len(found.steps)} steps of run {found.run_id} first")
        root = await self._first()
        beam, barren, idle = [root], 0, 0
        spent: set[str] = set()  # digests of kernels with nothing left to plan
        for iteration in range(1, record.iterations + 1):
            if self._reached():
                break
            record.iteration = iteration
            record.progress.begin()
            await record.keep("phase", f"phase/{iteration}", {"iteration": iteration})
            follow = self._steps[iteration - 1] if iteration <= len(self._steps) else None
            before = record.fastest
            requests = await self._planner.requests(iteration, record.iterations, beam, follow)
            replies = await self._pipeline.run(requests)
            children = [candidate for candidate in record.settled() if candidate.iteration == iteration]
            if follow is None:
                spent |= _spent(requests, replies)
                if any(reply.plan for reply in replies):
                    barren = 0 if any(child.duplicate_of is None for child in children) else barren + 1
                idle = 0 if record.fastest is not before else idle + 1
            record.tell("phase", phase="select")
            width = settings.beam if follow is None else min(REPLAY_BEAM, settings.beam)
            beam = select(beam, children, iteration, settings, width=width, spent=spent, reserve=record.settled())
            chosen = {"iteration": iteration, "beam": [c.id for c in beam]}
            await record.keep("phase", f"select/{iteration}", chosen)
            if not beam:
                return f"nothing left to plan: {replies[0].complaint or 'all options tried'}"
            if barren == BARREN:
                return f"no new kernel in {BARREN} iterations"
            if idle == settings.patience:
                return f"no faster kernel in {idle} iterations"
        if self._reached():
            return f"utilisation of {settings.stop_utilisation:.0%} reached"
        return f"all {settings.iterations} iterations done"

    async def _first(self) -> Candidate:
        permits = Permits(self._settings.max_evaluations, self._record.evaluations, [1])
        start = Candidate(id=ROOT, iteration=0, source=self._source)
        self._record.progress.begin(evaluate=1)
        with self._record.progress.work(ROOT, "evaluate"):
            root = await self._judge.judge(start, permits, 0)
        if not root.passed:
            message = root.evaluation.message if root.evaluation else "no result"
            raise AgentUsageError(f"the kernel to start from does not pass: {message}")
        return root

    # ------------------------------------------------------------ end

    @property
    def searched(self) -> Searched | None:
        """Why the search ended, where a run stopped later than that."""
        return self._record.searched

    async def confirm(self, engine: str, ended: Searched) -> str:
        """After the search: see confirming.py. Returns why the run ended; raises as `run`."""
        return await confirm(self._record, self._toolbox, engine, ended, self._judge.slots)

    def finish(self, why: str) -> None:
        self._record.write_best()
        self._record.tell("finished", message=why)

    def _reached(self) -> bool:
        best = self._record.fastest
        used = best.evaluation.utilisation if best and best.evaluation else None
        return used is not None and used >= self._settings.stop_utilisation


def _spent(requests: Sequence[PlanRequest], replies: Sequence[PlanReply]) -> set[str]:
    """Digests of the kernels for which every planner said that nothing is left."""
    planned = {
        request.parent.digest
        for request, reply in zip(requests, replies, strict=True)
        if reply.plan is not None or not reply.final
    }
    return {request.parent.digest for request in requests} - planned
