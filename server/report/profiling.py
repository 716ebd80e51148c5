"""Profiles for the page that the search did not make: of the candidates that are asked for, by the same engine."""

from __future__ import annotations

from collections.abc import Sequence

from ...agent.errors import AgentUsageError
from ...agent.runs.journal import Journal
from ...hardware_adapters.base import Profile
from ...hardware_adapters.registry import adapter_for
from ..shell import run, say
from .snapshot import Row, Snapshot

PATH = "path"  # every step to the best kernel


def with_profiles(found: Snapshot, journal: Journal, wanted: Sequence[str]) -> Snapshot:
    """`wanted`: ids of candidates, or PATH; their parents are profiled too, to stand beside them.

    Raises AgentUsageError for ids that the run does not have or whose kernels did not pass, AdapterError where this
    machine does not know the problem, EnvironmentLackError, EngineFailure.
    """
    rows = {row.id: row for row in found.rows}
    chosen: dict[str, Row] = {}
    for identity in wanted:
        steps = [step.candidate for step in found.steps] if identity == PATH else [identity]
        for step in steps:
            row = rows.get(step)
            if row is None or row.latency is None:
                what = "did not pass" if row else "is not there"
                raise AgentUsageError(
                    f"candidate {step!r} {what}; list them with: show {found.head.run_id} --candidates"
                )
            parent = rows.get(row.parent or "")
            chosen |= {each.id: each for each in (row, parent) if each is not None and each.latency is not None}
    judged = [rows.get(row.duplicate_of or row.id, row) for row in chosen.values()]
    missing = {row.kernel: row.id for row in judged if row.kernel and row.kernel not in found.profiles}
    if not missing:
        return found
    adapter = adapter_for(found.head.problem)
    problem = adapter.problem(found.head.problem)
    named = found.head.engine
    engine = named if any(status.name == named and status.profiles for status in adapter.engines()) else None

    async def work() -> dict[str, Profile]:
        made: dict[str, Profile] = {}
        for kernel, identity in missing.items():
            say(f"profiling candidate {identity}")
            result = await adapter.profile(problem, journal.source(found.head.run_id, identity) or "", engine=engine)
            if isinstance(result, Profile):
                made[kernel] = result
            else:
                say(f"candidate {identity} cannot be profiled here: {result.message}")
        return made

    return found.model_copy(update={"profiles": found.profiles | run(work)})
