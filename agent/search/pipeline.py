"""One iteration's work: every plan goes its own way from the model to the hardware, and waits for no other.

A plan's codes are asked for as soon as it exists, each code is judged as soon as it arrives, one that does not pass
is repaired at once. Only selection waits for all. What a model sees was settled before the iteration, or is the
plan's own history: so results do not depend on which call came back first. (Where several write the same kernel and
it does not pass, the one that came first is repaired.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from ..each import each
from ..models.base import CodeRequest, PlanReply, PlanRequest
from ..runs.candidate import Candidate, Plan
from .asking import Asker
from .judging import Judge
from .permits import Permits
from .planning import Planner
from .record import RunRecord

DIRECT = "direct"  # option of a plan that was never made: planning is left out

T = TypeVar("T")


class Pipeline:
    def __init__(self, record: RunRecord, planner: Planner, asker: Asker, judge: Judge) -> None:
        self._problem = record.problem
        self._settings = record.settings
        self._record = record
        self._progress = record.progress
        self._planner = planner
        self._asker = asker
        self._judge = judge
        self._told: set[str] = set()

    async def run(self, requests: Sequence[PlanRequest]) -> list[PlanReply]:
        """Replies in the order of the requests; the kernels are in the record. Raises LimitExceeded and what
        `resume` may get over, once all that was under way has ended: it is paid for (see brake.py)."""
        self._told = set()
        codes = self._settings.codes
        asked = len(requests)
        self._progress.begin(
            plan=0 if self._settings.one_phase else asked, generate=asked * codes, evaluate=asked * codes
        )
        needs = [1 + self._settings.repairs] * (len(requests) * codes)
        # Journalled evaluations of this iteration were counted when the record was read; they take no permit again.
        permits = Permits(self._settings.max_evaluations, self._record.evaluations, needs)

        async def one(indexed: tuple[int, PlanRequest]) -> PlanReply:
            index, request = indexed
            units = range(index * codes, (index + 1) * codes)
            with permits.settled(*units):
                reply = await self._plan(request)
                plan = reply.plan
                if plan is not None:
                    await each(units, lambda unit: self._implement(request, plan, unit, permits))
                else:
                    self._expect(-codes)
                return reply

        return await each(list(enumerate(requests)), one)

    async def _plan(self, request: PlanRequest) -> PlanReply:
        if self._settings.one_phase:
            return PlanReply(plan=Plan(option=DIRECT, text="one option of the menu, chosen and carried out at once"))
        return await self._step("plan", self._asker.plan, request, request.key)

    async def _implement(self, request: PlanRequest, plan: Plan, unit: int, permits: Permits) -> None:
        """One implementation of a plan, judged; repaired while it does not pass and repairs are left."""
        code = unit % self._settings.codes
        above = self._settings.edit_above
        asked = CodeRequest(
            key=f"{request.key}.{code}",
            code=code,
            codes=self._settings.codes,
            seed=self._settings.seed,
            model=self._planner.coder(request, code),
            edits=above is not None and len(request.parent.source) > above,
            problem=self._problem,
            parent=request.parent,
            plan=plan,
            direct=request if self._settings.one_phase else None,
        )
        with permits.settled(unit):
            for repair in range(self._settings.repairs + 1):
                if repair:
                    self._expect(+1)
                reply = await self._step("generate", self._asker.code, asked, asked.key, plan.option)
                if reply.source is None:
                    self._progress.expect("evaluate", -1)
                    break
                made = plan if reply.option is None else plan.model_copy(update={"option": reply.option})
                candidate = Candidate(
                    id=asked.key,
                    iteration=request.iteration,
                    parent=request.parent.id,
                    plan=made,
                    source=reply.source,
                    model=asked.model,
                )
                judged = await self._step(
                    "evaluate", lambda c: self._judge.judge(c, permits, unit), candidate, candidate.id, made.option
                )
                if judged.evaluation is None or judged.passed:
                    break
                asked = asked.model_copy(
                    update={
                        "key": f"{request.key}.{code}r{repair + 1}",
                        "failed_source": judged.source,
                        "failure": judged.evaluation,
                    }
                )

    def _expect(self, codes: int) -> None:
        self._progress.expect("generate", codes)
        self._progress.expect("evaluate", codes)

    async def _step(
        self,
        phase: Literal["plan", "generate", "evaluate"],
        work: Callable[..., Awaitable[T]],
        asked: object,
        place: str,
        option: str | None = None,
    ) -> T:
        if phase not in self._told:
            self._told.add(phase)
            self._record.tell("phase", phase=phase)
        with self._progress.work(place, phase, option):
            return await work(asked)
