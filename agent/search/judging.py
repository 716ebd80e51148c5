"""What the hardware says: candidates evaluated and profiled through the tools, each kernel once."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import anyio

from ...hardware_adapters.base import UNSUPPORTED, EngineStatus, Evaluation, Profile
from ..runs.candidate import Candidate
from ..runs.patience import patiently
from ..toolbox import ProfileOutcome, Toolbox
from .brake import Brake
from .permits import Permits
from .record import RunRecord


class Judge:
    def __init__(self, record: RunRecord, toolbox: Toolbox, brake: Brake, at_once: int) -> None:
        self.slots = anyio.CapacityLimiter(at_once)
        self._brake = brake
        self._problem = record.problem
        self._settings = record.settings
        self._record = record
        self._toolbox = toolbox
        self._once = record.settings.duplicates != "evaluate"
        self._evaluating: set[str] = set()  # digests of kernels

    async def judge(self, candidate: Candidate, permits: Permits, unit: int) -> Candidate:
        """The candidate with its evaluation, as it is journalled. Of kernels that are the same text one is evaluated,
        the others wait for it, unless the settings want all evaluated. Raises LimitExceeded, InfrastructureError."""
        restored = self._record.restored(candidate.id)
        if restored is not None:
            return restored
        with self._brake.judging():
            first = await self._first_or_claim(candidate, permits, unit)
            if first is not None:
                return await self._journalled(candidate.model_copy(update={"duplicate_of": first}))
            judged = None
            try:
                async with self.slots:
                    with self._brake.judging():  # again: it waited
                        evaluation = await self._evaluate(candidate)
                judged = self._as_duplicate(candidate.model_copy(update={"evaluation": evaluation}))
                return await self._journalled(judged)
            finally:
                self._evaluating.discard(candidate.digest)
                permits.end(counts=judged is not None and judged.duplicate_of is None)

    async def _first_or_claim(self, candidate: Candidate, permits: Permits, unit: int) -> str | None:
        """The candidate that was evaluated with this kernel; None where this one is to be, and has the permit for it.

        A kernel is claimed together with its permit: nobody ever waits for one that waits for a permit itself."""
        while True:
            if self._once and (first := self._record.first_with.get(candidate.digest)) is not None:
                return first
            if not (self._once and candidate.digest in self._evaluating) and permits.granted(unit):
                self._evaluating.add(candidate.digest)
                return None
            await permits.change()

    async def _journalled(self, candidate: Candidate) -> Candidate:
        await patiently(lambda: self._record.finished(candidate))
        return candidate

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
        return any(status.default and status.available and status.name != chosen for status in await self._engines())

    async def _engines(self) -> Collection[EngineStatus]:
        return (await self._toolbox.engines(self._problem.target)).values()

    def _as_duplicate(self, candidate: Candidate) -> Candidate:
        """Where another source of this run compiles to the same machine code; else the candidate as it is."""
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
        return chosen if any(status.profiles and status.name == chosen for status in await self._engines()) else None
