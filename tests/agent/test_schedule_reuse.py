"""A later search on a similar problem: the earlier run's steps first, then a search of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import AgentUsageError, UnknownRunError
from autocomp_mcp.agent.models.base import Models
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import LARGER, PROBLEM, Landscape
from scripted_models import ScriptedModels

pytestmark = pytest.mark.anyio
TUNER = {"plans": 4, "beam": 3, "iterations": 30, "stop_utilisation": 1.0, "timeout_s": None}


async def run(
    home: Path, problem: str, *, models: Models | None = None, again: str = "", run_id: str | None = None, **more: Any
) -> RunStatus:
    async with Toolbox.connect(Landscape().server, retry_delays_s=()) as toolbox:
        shared = {
            "toolbox": toolbox,
            "models": models or make_models("offline", toolbox),
            "journal": Journal(home / "autocomp.db"),
            "runs_dir": home / "runs",
        }
        if again:
            return await resume(again, **shared, **more)
        settings = SearchSettings.for_model(shared["models"].spec, **(TUNER | more))
        return await search(problem, settings, run_id=run_id, **shared)


def schedule_of(home: Path, run_id: str) -> dict[str, Any] | None:
    events = Journal(home / "autocomp.db").events(run_id)
    return next(event["data"]["schedule"] for event in events if event["kind"] == "lessons")


def evaluations_to(home: Path, run_id: str, latency: float) -> int:
    """Kernels evaluated until one was as fast as that."""
    count = 0
    for event in Journal(home / "autocomp.db").events(run_id):
        if event["kind"] == "candidate" and not event["data"]["duplicate_of"]:
            count += 1
            found = event["data"]["evaluation"]["latency"]
            if found is not None and found["value"] <= latency:
                return count
    raise AssertionError(f"{run_id} never reached {latency}")


async def test_a_second_run_on_a_similar_problem_is_there_with_fewer_evaluations(tmp_path: Path) -> None:
    first = await run(tmp_path / "a", PROBLEM, run_id="first")
    second = await run(tmp_path / "a", LARGER, run_id="second")
    fresh = await run(tmp_path / "b", LARGER, run_id="fresh")
    assert first.best and second.best and fresh.best
    assert second.best.latency == fresh.best.latency == 2 * first.best.latency == 200.0
    used = {home: evaluations_to(tmp_path / home, run_id, 200.0) for home, run_id in (("a", "second"), ("b", "fresh"))}
    assert used["a"] < 0.7 * used["b"], used


async def test_steps_are_repeated_one_by_one_then_the_search_is_its_own(tmp_path: Path) -> None:
    first = await run(tmp_path, PROBLEM, run_id="first", iterations=3)
    steps = [step.option for step in first.lineage[1:]]
    models = ScriptedModels()
    second = await run(tmp_path, LARGER, models=models, run_id="second", iterations=2, codes=1, repairs=0, dropout=0.0)
    schedule = schedule_of(tmp_path, "second")
    assert schedule and schedule["run_id"] == "first" and len(schedule["steps"]) == len(steps) > 0
    assert second.iterations == len(steps) + 2 and second.iteration == second.iterations
    followed = [request for request in models.plans if request.follow is not None]
    assert {request.iteration for request in followed} == set(range(1, len(steps) + 1))
    for request in followed:
        assert request.follow is not None
        assert request.follow.option == steps[request.iteration - 1]
        assert [offer.id for offer in request.menu] == [request.follow.option], "only the step's option is offered"
        assert request.slots <= 2
    own = [request for request in models.plans if request.follow is None]
    assert {request.iteration for request in own} == {len(steps) + 1, len(steps) + 2}
    assert all(len(request.menu) > 1 for request in own) and {request.slots for request in own} == {TUNER["plans"]}
    kept = {request.parent.id for request in models.plans if request.iteration == 2}
    assert len(kept) <= 2, "a small beam while repeating"


async def test_a_named_run_is_repeated_and_one_that_is_not_there_refused(tmp_path: Path) -> None:
    await run(tmp_path, PROBLEM, run_id="one", iterations=2)
    await run(tmp_path, PROBLEM, run_id="two", iterations=2, seed=1, reuse="none")
    named = await run(tmp_path, PROBLEM, run_id="three", iterations=1, reuse="one")
    schedule = schedule_of(tmp_path, named.run_id)
    assert schedule and schedule["run_id"] == "one"
    with pytest.raises((UnknownRunError, AgentUsageError), match="nobody"):
        await run(tmp_path, PROBLEM, run_id="four", iterations=1, reuse="nobody")


async def test_what_cannot_be_repeated_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    await run(tmp_path, PROBLEM, run_id="idle", models=ScriptedModels(coded=lambda _: "broken"), iterations=1)
    with pytest.raises(AgentUsageError, match="no kernel faster"):
        await run(tmp_path, LARGER, run_id="second", reuse="idle")
    with pytest.raises(UnknownRunError):
        Journal(tmp_path / "autocomp.db").row("second")


async def test_steps_that_were_repeated_are_no_iterations_of_ones_own(tmp_path: Path) -> None:
    await run(tmp_path, PROBLEM, run_id="first", iterations=3)
    scripted = {"codes": 1, "repairs": 0, "dropout": 0.0}
    second = await run(tmp_path, LARGER, run_id="second", models=ScriptedModels(), iterations=2, **scripted)
    repeated = second.iterations - 2
    assert repeated > 0
    with pytest.raises(AgentUsageError, match="has used 2 of iterations"):
        await run(tmp_path, LARGER, again="second", models=ScriptedModels(), limits={"iterations": 2})
    more = await run(tmp_path, LARGER, again="second", models=ScriptedModels(), limits={"iterations": 3})
    assert more.iteration == more.iterations == repeated + 3


async def test_without_reuse_and_memory_a_home_with_runs_is_as_a_fresh_one(tmp_path: Path) -> None:
    def told(status: RunStatus) -> Any:
        return status.best, status.lineage, status.evaluations, status.duplicates, status.model_calls

    alone = {"reuse": "none", "examples": 0, "menu_choice": "random", "iterations": 4}
    await run(tmp_path / "a", PROBLEM)
    later = await run(tmp_path / "a", LARGER, run_id="later", **alone)
    fresh = await run(tmp_path / "b", LARGER, run_id="later", **alone)
    assert told(later)[1:] == told(fresh)[1:]
    assert later.best and fresh.best and later.best.latency == fresh.best.latency
    reused = await run(tmp_path / "a", LARGER, run_id="reused", **{**alone, "reuse": "auto"})
    assert told(reused)[1:] != told(later)[1:]


async def test_reuse_finds_nothing_in_a_fresh_home(tmp_path: Path) -> None:
    auto = await run(tmp_path / "a", PROBLEM, run_id="r", iterations=3)
    none = await run(tmp_path / "b", PROBLEM, run_id="r", iterations=3, reuse="none")
    assert schedule_of(tmp_path / "a", "r") is None
    assert (auto.lineage, auto.evaluations, auto.iterations) == (none.lineage, none.evaluations, none.iterations)


async def test_a_run_that_repeats_steps_can_be_resumed(tmp_path: Path) -> None:
    for home in ("a", "b"):
        await run(tmp_path / home, PROBLEM, run_id="first", iterations=4)
    whole = await run(tmp_path / "a", LARGER, run_id="r", iterations=3)
    cut = await run(tmp_path / "b", LARGER, run_id="r", iterations=3, max_evaluations=4)
    assert cut.limit == "evaluations" and cut.iterations == whole.iterations
    await run(tmp_path / "b", PROBLEM, run_id="other", iterations=4, seed=5)  # of which the resumed run learns nothing
    done = await run(tmp_path / "b", LARGER, again="r", limits={"max_evaluations": 1000})
    assert (done.lineage, done.evaluations, done.model_calls) == (whole.lineage, whole.evaluations, whole.model_calls)


async def test_what_paid_before_is_shown_and_offered(tmp_path: Path) -> None:
    await run(tmp_path, PROBLEM, run_id="first")
    models = ScriptedModels()
    await run(tmp_path, LARGER, models=models, reuse="none", examples=2, codes=1, iterations=2)
    shown = [example for request in models.plans for example in request.examples]
    assert shown and all(example.problem == PROBLEM and example.ratio > 1.05 for example in shown)
    assert max(len(request.examples) for request in models.plans) <= 2
    for request in models.plans:
        assert {e.plan.option for e in request.examples} <= {offer.id for offer in request.menu}
    silent = ScriptedModels()
    await run(tmp_path, LARGER, models=silent, reuse="none", examples=0, codes=1, iterations=2)
    assert not any(request.examples for request in silent.plans)
