"""The loop itself: plan, generate, evaluate, select. Every phase ends before the next begins, so that what a model
sees never depends on which call happened to come back first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio

from ..hardware_adapters.base import InvalidSourceError, Problem, Profile, check_source
from .beam import select
from .budget import CostBudget, affordable
from .candidate import ROOT, Candidate, Plan, attempts
from .confirming import confirm
from .each import each
from .errors import AgentUsageError, LimitExceeded
from .events import Listener
from .journal import Journal, Lease
from .models.base import Ancestor, CodeReply, CodeRequest, Models, Offer, PlanReply, PlanRequest, Reply
from .record import RunRecord
from .settings import SearchSettings
from .status import Searched
from .toolbox import ProfileOutcome, Toolbox

ATTEMPTS = 2  # a malformed reply is sent back once with what is wrong with it
BARREN = 3  # iterations in a row without a new kernel, after which the search has dried up

R = TypeVar("R", bound=Reply)


class SearchLoop:
    def __init__(
        self,
        run_id: str,
        problem: Problem,
        settings: SearchSettings,
        lease: Lease,
        toolbox: Toolbox,
        models: Models,
        journal: Journal,
        runs_dir: Path,
        listener: Listener | None,
    ) -> None:
        self.run_id = run_id
        self._problem = problem
        self._settings = settings
        self._profiles: bool | None = None  # whether the chosen engine does; not known yet
        self._toolbox = toolbox
        self._models = models
        self._source = journal.run(run_id).source
        self._record = RunRecord(lease, journal, settings, runs_dir, listener)
        self._budget = CostBudget(settings.max_cost_usd, self._record.cost_usd or 0.0)
        self._model_slots = anyio.CapacityLimiter(settings.max_parallel_model)
        self._engine_slots = anyio.CapacityLimiter(settings.max_parallel_engine)

    async def run(self) -> str:
        """Search to the end; returns why it ended. Raises LimitExceeded and what `resume` may get over."""
        record, settings = self._record, self._settings
        record.tell("started")
        await self._evaluate([Candidate(id=ROOT, iteration=0, source=self._source)])
        root = record.candidates[ROOT]
        if not root.passed:
            message = root.evaluation.message if root.evaluation else "no result"
            raise AgentUsageError(f"the kernel to start from does not pass: {message}")
        beam, barren = [root], 0
        spent: set[str] = set()  # digests of kernels with nothing left to plan
        for iteration in range(1, settings.iterations + 1):
            if self._reached():
                break
            record.iteration = iteration
            record.put("phase", f"phase/{iteration}", {"iteration": iteration})
            replies = await self._plan(iteration, beam)
            for parent in beam:
                if all(reply.plan is None and reply.final for _, p, reply in replies if p.id == parent.id):
                    spent.add(parent.digest)
            planned = [(key, parent, reply.plan) for key, parent, reply in replies if reply.plan]
            children = await self._children(iteration, planned)
            if planned:
                barren = 0 if any(child.duplicate_of is None for child in children) else barren + 1
            record.tell("phase", phase="select")
            beam = select(beam, children, iteration, settings, spent=spent, reserve=record.settled())
            record.put("phase", f"select/{iteration}", {"iteration": iteration, "beam": [c.id for c in beam]})
            if not beam:
                return f"nothing left to plan: {replies[0][2].complaint or 'all options tried'}"
            if barren == BARREN:
                return f"no new kernel in {BARREN} iterations"
        if self._reached():
            return f"utilisation of {settings.stop_utilisation:.0%} reached"
        return f"all {settings.iterations} iterations done"

    # ------------------------------------------------------------ end

    @property
    def searched(self) -> Searched | None:
        """Why the search ended, where a run stopped later than that."""
        return self._record.searched

    async def confirm(self, engine: str, ended: Searched) -> str:
        """After the search: see confirming.py. Returns why the run ended; raises as `run`."""
        return await confirm(self._record, self._toolbox, self._problem, engine, ended, self._engine_slots)

    def finish(self, why: str) -> None:
        self._record.write_best()
        self._record.tell("finished", message=why)

    def _reached(self) -> bool:
        best = self._record.fastest
        used = best.evaluation.utilisation if best and best.evaluation else None
        return used is not None and used >= self._settings.stop_utilisation

    # ------------------------------------------------------------ plan

    async def _plan(self, iteration: int, beam: Sequence[Candidate]) -> list[tuple[str, Candidate, PlanReply]]:
        self._record.tell("phase", phase="plan")
        known = attempts(self._record.settled())
        history = tuple(entry for entries in known.values() for entry in entries)
        best = self._record.fastest
        assert best is not None
        profiles = await each(beam, self._profile)
        menus = [await self._menu(parent, profile) for parent, profile in zip(beam, profiles, strict=True)]
        requests = [
            PlanRequest(
                key=f"{iteration}.{index}.{slot}",
                slot=slot,
                slots=self._settings.plans,
                seed=self._settings.seed,
                menu=menus[index],
                iteration=iteration,
                iterations=self._settings.iterations,
                problem=self._problem,
                parent=parent,
                best_latency=best.latency,
                profile=profiles[index],
                tried=tuple(known.get(parent.digest, ())),
                history=history,
                ancestors=tuple(Ancestor(plan=plan) for plan in self._lineage(parent)),
            )
            for index, parent in enumerate(beam)
            for slot in range(self._settings.plans)
        ]
        replies = await each(requests, self._one_plan)
        return [(request.key, request.parent, reply) for request, reply in zip(requests, replies, strict=True)]

    async def _menu(self, parent: Candidate, profile: Profile | None) -> tuple[Offer, ...]:
        options = await self._toolbox.list_optimizations(
            self._problem.id,
            source=parent.source if self._models.mechanical else None,
            bottlenecks=tuple(found.id for found in profile.bottlenecks) if profile else (),
        )
        return tuple(Offer(**option.model_dump()) for option in options)

    async def _one_plan(self, request: PlanRequest) -> PlanReply:
        reply = PlanReply()
        for attempt in range(ATTEMPTS):
            asked = request.model_copy(
                update={"attempt": attempt, "complaint": reply.complaint, "previous": reply.text}
            )
            reply = await self._call(f"plan/{request.key}/{attempt}", PlanReply, self._models.plan, asked)
            if reply.plan is not None or reply.final:
                break
        return reply

    async def _profile(self, candidate: Candidate) -> Profile | None:
        key = f"profile/{candidate.digest}"
        data = self._record.get(key)
        if data is None:
            async with self._engine_slots:
                engine = await self._profiling_engine()
                outcome = await self._toolbox.profile(self._problem.id, candidate.source, engine=engine)
            self._record.put("profile", key, outcome.model_dump(mode="json"))
            return outcome.profile
        return ProfileOutcome.model_validate(data).profile

    async def _profiling_engine(self) -> str | None:
        """The search's own engine if it profiles; otherwise the target's default says where the time goes."""
        chosen = self._settings.engine
        if chosen is None or self._profiles is False:
            return None
        if self._profiles is None:
            self._profiles = (await self._toolbox.check_engine(self._problem.target, chosen)).profiles
        return chosen if self._profiles else None

    def _lineage(self, candidate: Candidate) -> tuple[Plan, ...]:
        plans: list[Plan] = []
        while candidate.plan is not None and candidate.parent is not None:
            plans.append(candidate.plan)
            candidate = self._record.candidates[candidate.parent]
        return tuple(reversed(plans))

    # ------------------------------------------------------------ generate

    async def _children(self, iteration: int, plans: Sequence[tuple[str, Candidate, Plan | None]]) -> list[Candidate]:
        """Codes for all plans, evaluated; then, round by round, repairs of those that do not pass."""
        requests = [
            CodeRequest(
                key=f"{key}.{code}",
                code=code,
                codes=self._settings.codes,
                seed=self._settings.seed,
                problem=self._problem,
                parent=parent,
                plan=plan,
            )
            for key, parent, plan in plans
            if plan is not None
            for code in range(self._settings.codes)
        ]
        finished: list[Candidate] = []
        for repair in range(self._settings.repairs + 1):
            if not requests:
                break
            self._record.tell("phase", phase="generate")
            replies = await each(requests, self._one_code)
            written = [
                (
                    request,
                    Candidate(
                        id=request.key,
                        iteration=iteration,
                        parent=request.parent.id,
                        plan=request.plan,
                        source=reply.source,
                    ),
                )
                for request, reply in zip(requests, replies, strict=True)
                if reply.source is not None
            ]
            self._record.tell("phase", phase="evaluate")
            results = await self._evaluate([candidate for _, candidate in written])
            finished += results
            requests = [
                request.model_copy(
                    update={
                        "key": f"{request.key.partition('r')[0]}r{repair + 1}",
                        "failed_source": result.source,
                        "failure": result.evaluation,
                    }
                )
                for (request, _), result in zip(written, results, strict=True)
                if result.evaluation is not None and not result.passed
            ]
        return finished

    async def _one_code(self, request: CodeRequest) -> CodeReply:
        reply = CodeReply()
        for attempt in range(ATTEMPTS):
            asked = request.model_copy(update={"attempt": attempt, "complaint": reply.complaint})
            reply = await self._call(f"code/{request.key}/{attempt}", CodeReply, self._models.generate, asked)
            if reply.source is not None:
                try:
                    check_source(reply.source)
                    break
                except InvalidSourceError as error:
                    reply = reply.model_copy(update={"source": None, "complaint": str(error)})
            if reply.final:
                break
        return reply

    async def _call(
        self, key: str, kind: type[R], ask: Callable[..., Awaitable[R]], request: PlanRequest | CodeRequest
    ) -> R:
        """One call of a model, or its journalled reply."""
        known = self._record.get(key)
        if known is not None:
            return kind.model_validate(known["reply"])
        async with self._model_slots, self._budget.call(self._models.most(request).usd) as spending:
            reply = await ask(request)
            spending.usd = reply.cost_usd
            self._record.put("model", key, {"reply": reply.model_dump(mode="json")})
        return reply

    # ------------------------------------------------------------ evaluate

    async def _evaluate(self, wanted: Sequence[Candidate]) -> list[Candidate]:
        """Results in the order given. Of kernels that are the same text, one is evaluated, ever.

        Raises LimitExceeded after the evaluations that were still allowed, so which ones those are does not depend
        on timing.
        """
        record = self._record
        first: dict[str, str] = {}
        fresh: list[Candidate] = []
        for candidate in wanted:
            earlier = record.first_with.get(candidate.digest) or first.get(candidate.digest)
            restored = record.restored(candidate.id)
            if restored is None and earlier is None:
                fresh.append(candidate)
            elif restored is None:
                record.finished(candidate.model_copy(update={"duplicate_of": earlier}))
            first.setdefault(candidate.digest, candidate.id)
        # Journalled evaluations of this batch are counted already, wherever in it they stand.
        allowed = affordable(record.evaluations, len(fresh), self._settings.max_evaluations)
        await each(fresh[:allowed], self._judge)
        if allowed < len(fresh):
            raise LimitExceeded("evaluations", record.evaluations, float(self._settings.max_evaluations or 0))
        return [record.candidates[candidate.id] for candidate in wanted]

    async def _judge(self, candidate: Candidate) -> None:
        async with self._engine_slots:
            evaluation = await self._toolbox.simulate(
                self._problem.id, candidate.source, engine=self._settings.engine, seed=self._settings.seed
            )
        self._record.finished(candidate.model_copy(update={"evaluation": evaluation}))
