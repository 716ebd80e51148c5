"""After the search: its fastest kernels on a slower engine, through the same tools."""

from __future__ import annotations

import anyio

from ..each import each
from ..runs.candidate import Candidate
from ..runs.confirmation import fastest
from ..runs.patience import patiently
from ..runs.status import Searched
from ..toolbox import Toolbox
from .record import RunRecord


async def confirm(
    record: RunRecord,
    toolbox: Toolbox,
    engine: str,
    ended: Searched,
    slots: anyio.CapacityLimiter,
) -> str:
    """Have those confirmed that were not confirmed yet, and settle which kernel is best. Returns why the run ended.

    Raises what `resume` may get over; what was confirmed before that is kept.
    """
    problem, settings = record.problem, record.settings
    await patiently(lambda: record.end_search(ended))
    chosen = fastest(record.settled(), settings.confirm_top)
    if not chosen:
        return ended.reason
    record.tell("phase", phase="confirm", message=f"{len(chosen)} kernels on {engine}")

    incumbent: Candidate | None = None  # what the others are timed against, where the engine can do that

    async def one(candidate: Candidate) -> None:
        if record.confirmation_of(candidate) is not None:
            return
        async with slots:
            said = await toolbox.simulate(
                problem.id, candidate.source, engine=engine, seed=settings.seed, timeout_s=settings.confirm_timeout_s,
                against=incumbent and incumbent.source,
            )  # fmt: skip
        await patiently(lambda: record.put_confirmation(candidate, said))
        record.tell("phase", phase="confirm", message=f"{candidate.id} on {engine}: {said.message}")

    try:
        status = (await toolbox.engines(problem.target)).get(engine)
        if status is not None and status.in_turns:
            incumbent = next((known for known in record.settled() if _alone(record, known)), None)
            for candidate in chosen if incumbent is None else ():
                await one(candidate)
                if _alone(record, candidate):
                    incumbent = candidate
                    break
        await each(chosen, one)
    finally:
        record.settle_best()
    found = record.confirmations()
    if record.best is None:
        return f"{ended.reason}; {engine} confirmed none of the {len(found)} fastest kernels"
    return f"{ended.reason}; best of {len(found)} confirmed on {engine}"


def _alone(record: RunRecord, candidate: Candidate) -> bool:
    """Whether it was confirmed, and not against another one."""
    known = record.confirmation_of(candidate)
    return known is not None and known.passed and known.speed is None
