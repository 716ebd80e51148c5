"""What earlier runs teach: gathered from journals of real runs on the synthetic target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.errors import AgentUsageError, UnknownRunError
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.search.lessons import FARTHEST, MAX_DIFF, Lessons, check_reuse, distance, gather
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.base import Problem
from hypothesis import given
from hypothesis import strategies as st
from landscape import LARGER, PROBLEM, Landscape, problem_record
from scripted_models import ScriptedModels, raised

QUICK: dict[str, Any] = {
    "iterations": 2, "plans": 4, "codes": 1, "beam": 2, "repairs": 0, "dropout": 0.0, "stop_utilisation": 1.0,
    "reuse": "none", "examples": 0, "menu_choice": "random",
}  # fmt: skip
dims_ = st.dictionaries(st.sampled_from("MNKXT"), st.integers(0, 4096), max_size=4)


async def run(home: Path, problem: str = PROBLEM, *, models: ScriptedModels | None = None, **more: Any) -> RunStatus:
    run_id = more.pop("run_id", None)
    async with Toolbox.connect(Landscape().server, retry_delays_s=()) as toolbox:
        return await search(
            problem,
            SearchSettings.for_model("scripted", **(QUICK | more)),
            toolbox=toolbox,
            models=models or ScriptedModels(),
            journal=Journal(home / "autocomp.db"),
            runs_dir=home / "runs",
            run_id=run_id,
        )


def lessons(home: Path, reuse: str = "auto", *, memory: bool = True, problem: str = PROBLEM) -> Lessons:
    known = Problem.model_validate(problem_record(problem))
    return gather(Journal(home / "autocomp.db"), known, reuse, memory=memory)


@given(dims_, dims_)
def test_distance_is_symmetric_and_nothing_for_the_same(one: dict[str, int], other: dict[str, int]) -> None:
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert distance(one, one) == 0.0
    assert distance(one, other) >= 0.0


def test_distance_is_octaves() -> None:
    assert distance({"M": 512, "N": 512}, {"M": 1024, "N": 128}) == pytest.approx(3.0)
    assert distance({"M": 512}, {"M": 512, "K": 16}) == 4.0, "a dimension that only one has"
    assert distance({"P": 0}, {"P": 1}) == 4.0


@pytest.mark.anyio
async def test_a_fresh_home_teaches_nothing(tmp_path: Path) -> None:
    assert lessons(tmp_path) == Lessons()
    with pytest.raises(UnknownRunError, match="nobody"):
        lessons(tmp_path, "nobody")


@pytest.mark.anyio
async def test_the_schedule_is_the_best_lineage_step_by_step(tmp_path: Path) -> None:
    status = await run(tmp_path, run_id="r")
    found = lessons(tmp_path).schedule
    assert found is not None and found.run_id == "r" and found.problem == PROBLEM
    assert found.speedup == pytest.approx(status.speedup)
    assert [step.option for step in found.steps] == [step.option for step in status.lineage[1:]]


@pytest.mark.anyio
async def test_the_nearest_problem_is_reused_and_a_named_run_whatever_it_is(tmp_path: Path) -> None:
    await run(tmp_path, LARGER, run_id="larger")
    assert (near := lessons(tmp_path).schedule) and near.run_id == "larger", "an octave away is near enough"
    await run(tmp_path, PROBLEM, run_id="same")
    assert (near := lessons(tmp_path).schedule) and near.run_id == "same"
    await run(tmp_path, LARGER, run_id="newer")
    assert (near := lessons(tmp_path).schedule) and near.run_id == "same", "the nearest, not the newest"
    assert (near := lessons(tmp_path, problem=LARGER).schedule) and near.run_id == "newer", "of equals the newest"
    assert (named := lessons(tmp_path, "larger").schedule) and named.run_id == "larger"
    assert lessons(tmp_path, "none").schedule is None


@pytest.mark.anyio
async def test_what_is_too_far_away_is_not_replayed_but_remembered(tmp_path: Path) -> None:
    await run(tmp_path, run_id="r")
    far = Problem.model_validate({**problem_record(), "dims": {"n": int(64 * 2 ** (FARTHEST + 1))}})
    found = gather(Journal(tmp_path / "autocomp.db"), far, "auto", memory=True)
    assert found.schedule is None and found.tallies and found.examples
    other = Problem.model_validate({**problem_record(), "family": "product"})
    assert gather(Journal(tmp_path / "autocomp.db"), other, "auto", memory=True) == Lessons()


@pytest.mark.anyio
async def test_a_run_without_gain_has_no_schedule(tmp_path: Path) -> None:
    def unchanged(request: Any) -> str:
        return f"{request.parent.source}int unused_{request.key.replace('.', '_')};\n"

    await run(tmp_path, models=ScriptedModels(coded=unchanged), run_id="idle")
    assert lessons(tmp_path).schedule is None and lessons(tmp_path).examples == ()
    assert sum(tally.tries for tally in lessons(tmp_path).tallies) > 0, "that nothing paid is remembered, too"
    with pytest.raises(AgentUsageError, match="'idle' made no kernel faster"):
        lessons(tmp_path, "idle")


@pytest.mark.anyio
async def test_a_named_run_is_of_the_same_operator(tmp_path: Path) -> None:
    await run(tmp_path, run_id="sum")
    other = Problem.model_validate({**problem_record(), "family": "product"})
    with pytest.raises(AgentUsageError, match=r"'sum' is of toy/sum-64: .* toy product"):
        check_reuse(Journal(tmp_path / "autocomp.db"), other, "sum")


@pytest.mark.anyio
async def test_examples_are_the_largest_gains_of_each_option_with_the_change(tmp_path: Path) -> None:
    def bold(request: Any) -> str:
        return raised(request.parent.source, request.plan.option, 3)

    await run(tmp_path, iterations=4, models=ScriptedModels(coded=bold))
    await run(tmp_path, LARGER, iterations=4)
    found = lessons(tmp_path).examples
    assert len(found) == len({example.plan.option for example in found}) > 1
    gains = [example.ratio for example in found]
    assert gains == sorted(gains, reverse=True) and min(gains) >= 1.05
    for example in found:
        name = example.plan.option.removeprefix("more-")
        assert f"-int {name} = " in example.diff and f"+int {name} = " in example.diff
        assert len(example.diff) <= MAX_DIFF + 2


@pytest.mark.anyio
async def test_tallies_count_every_code_of_every_run(tmp_path: Path) -> None:
    statuses = [await run(tmp_path, seed=seed) for seed in (0, 1)]
    made = sum(status.evaluations - 1 + status.duplicates for status in statuses)
    found = lessons(tmp_path).tallies
    assert sum(tally.tries for tally in found) == made
    assert {tally.bottleneck for tally in found} == {"narrow"}
    assert lessons(tmp_path, memory=False).tallies == ()


@pytest.mark.anyio
async def test_a_resumed_run_knows_what_it_knew_at_its_start(tmp_path: Path) -> None:
    from autocomp_mcp.agent.controller import resume

    learning = {"reuse": "auto", "examples": 2, "menu_choice": "adaptive"}
    await run(tmp_path, run_id="first", **learning, max_evaluations=3)
    await run(tmp_path, run_id="later", iterations=4)
    journal = Journal(tmp_path / "autocomp.db")
    before = [event for event in journal.events("first") if event["kind"] == "lessons"]
    assert Lessons.model_validate(before[0]["data"]) == Lessons(), "nothing had been run"
    models = ScriptedModels()
    async with Toolbox.connect(Landscape().server, retry_delays_s=()) as toolbox:
        where = {"toolbox": toolbox, "models": models, "journal": journal, "runs_dir": tmp_path / "runs"}
        await resume("first", **where, limits={"max_evaluations": 20})
    assert [event for event in journal.events("first") if event["kind"] == "lessons"] == before
    assert models.plans and all(request.follow is None and not request.examples for request in models.plans)
