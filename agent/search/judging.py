"""What the hardware says: candidates evaluated and profiled through the tools, each kernel once."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import anyio

from ...hardware_adapters.base import UNSUPPORTED, EngineStatus, Evaluation, Problem, Profile
from ..runs.candidate import Candidate
from ..settings import SearchSettings
from ..toolbox import ProfileOutcome, Toolbox
from .permits import Permits
from .record import RunRecord, patiently


class Judge:
    def __init__(
        self, problem: Problem, settings: SearchSettings, record: RunRecord, toolbox: Toolbox, at_once: int
    ) -> None:
        self.slots = anyio.CapacityLimiter(at_once)
        self._problem = problem
        self._settings = settings
        self._record = record
        self._toolbox = toolbox
        self._in_flight: dict[str, anyio.Event] = {}  # kernel digest -> set when its evaluation ended

    async def judge(self, candidate: Candidate, permits: Permits, unit: int) -> Candidate:
        """The candidate with its evaluation, journalled. Of kernels that are the same text one is evaluated, the
        others wait for it, unless the settings want all evaluated. Raises LimitExceeded, InfrastructureError."""
        restored = self._record.restored(candidate.id)
        if restored is not None:
            return restored
        once = self._settings.duplicates != "evaluate"
        while once:
            first = self._record.first_with.get(candidate.digest)
            if first is not None:
                return self._record.finished(candidate.model_copy(update={"duplicate_of": first}))
            if candidate.digest not in self._in_flight:
                break
            await self._in_flight[candidate.digest].wait()
        ended = self._in_flight[candidate.digest] = anyio.Event()
        try:
            await permits.take(unit)
            judged = None
            try:
                async with self.slots:
                    evaluation = await self._evaluate(candidate)
                judged = self._known_code(candidate.model_copy(update={"evaluation": evaluation}))
                return await patiently(lambda: self._record.finished(judged))
            finally:
                permits.end(counts=judged is not None and judged.duplicate_of is None)
        finally:
            self._in_flight.pop(candidate.digest, None)
            ended.set()

    async def _evaluate(self, candidate: Candidate) -> Evaluation:
        """By the chosen engine, or by the default one alone where the kernel does not even pass there. What that one
        cannot judge (tensor cores, say), the chosen one may."""
        engine, seed = self._settings.engine, self._settings.seed
        begun = partial(self._record.progress.runs, candidate.id)
        if await self._screens():
            screened = await self._toolbox.simulate(self._problem.id, candidate.source, seed=seed, begun=begun)
            beyond = screened.fault is not None and screened.fault.kind == UNSUPPORTED
            if not screened.passed and not beyond:
                return screened
        return await self._toolbox.simulate(self._problem.id, candidate.source, engine=engine, seed=seed, begun=begun)

    async def _screens(self) -> bool:
        """Whether there is another, quicker engine than the chosen one, and it is wanted."""
        chosen = self._settings.engine
        if chosen is None or not self._settings.screen:
            return False
        return any(status.default and status.available and status.name != chosen for status in await self._known())

    async def _known(self) -> Collection[EngineStatus]:
        return (await self._toolbox.engines(self._problem.target)).values()

    def _known_code(self, candidate: Candidate) -> Candidate:
        """As a duplicate, where another source of this run compiles to the same machine code."""
        first = self._record.first_of_code.get(candidate.code) if self._settings.duplicates == "code" else None
        if first is None or not candidate.passed:
            return candidate
        return candidate.model_copy(update={"evaluation": None, "duplicate_of": first})

    async def profile(self, candidate: Candidate) -> Profile | None:
        key = f"profile/{candidate.digest}"
        data = self._record.get(key)
        if data is None:
            with self._record.progress.work(candidate.id, "profile"):
                async with self.slots:
                    engine = await self._profiling_engine()
                    outcome = await self._toolbox.profile(
                        self._problem.id, candidate.source, engine=engine,
                        begun=partial(self._record.progress.runs, candidate.id),
                    )  # fmt: skip
            await self._record.keep("profile", key, outcome.model_dump(mode="json"))
            return outcome.profile
        return ProfileOutcome.model_validate(data).profile

    async def _profiling_engine(self) -> str | None:
        """The search's own engine if it profiles; otherwise the target's default says where the time goes."""
        chosen = self._settings.engine
        if chosen is None:
            return None
        return chosen if any(status.profiles and status.name == chosen for status in await self._known()) else None
