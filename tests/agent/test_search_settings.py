"""What single settings do to a whole search, with models that a test scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.models.base import CodeRequest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, Landscape, kernel, latency_of, values_of
from scripted_models import ScriptedModels, raised

pytestmark = pytest.mark.anyio
QUICK = {"iterations": 3, "plans": 3, "codes": 1, "beam": 2, "repairs": 0, "dropout": 0.0, "stop_utilisation": 1.0}


async def run(
    land: Landscape, models: ScriptedModels, home: Path, settings: dict[str, Any], *, again: str = "", **more: Any
) -> RunStatus:
    async with Toolbox.connect(land.server, retry_delays_s=()) as toolbox:
        shared = {
            "toolbox": toolbox,
            "models": models,
            "journal": Journal(home / "autocomp.db"),
            "runs_dir": home / "runs",
        }
        if again:
            return await resume(again, **shared, **more)
        return await search(PROBLEM, SearchSettings.for_model("scripted", **(QUICK | settings)), **shared, **more)


def candidates(home: Path, run_id: str) -> list[dict[str, Any]]:
    events = Journal(home / "autocomp.db").events(run_id, sources=True)
    return [{**event["data"], "source": event["source"]} for event in events if event["kind"] == "candidate"]


def worse(request: CodeRequest) -> str:
    """Another kernel each time, and none of them faster: tiles without lanes."""
    values = values_of(request.parent.source)
    assert values is not None
    return kernel(**{**values, "tiles": min(6, values["tiles"] + 1)}) + f"int unused_{request.key.replace('.', '_')};\n"


async def test_patience_ends_a_search_that_gains_nothing(tmp_path: Path) -> None:
    status = await run(Landscape(), ScriptedModels(coded=worse), tmp_path, {"iterations": 50, "patience": 4})
    assert (status.iteration, status.stop_reason) == (4, "no faster kernel in 4 iterations")
    assert status.speedup == 1.0


async def test_patience_begins_anew_with_every_gain(tmp_path: Path) -> None:
    def coded(request: CodeRequest) -> str:
        iteration = int(request.key.split(".")[0])
        return raised(request.parent.source, "more-width") if iteration == 3 else worse(request)

    status = await run(Landscape(), ScriptedModels(coded=coded), tmp_path, {"iterations": 50, "patience": 4})
    assert status.iteration == 3 + 4
    assert status.speedup is not None and status.speedup > 1


async def test_while_translating_speed_does_not_count(tmp_path: Path) -> None:
    # A first step that makes the kernel slower by far: tiles without lanes.
    def coded(request: CodeRequest) -> str:
        first = int(request.key.split(".")[0]) == 1
        return kernel(tiles=6) if first else raised(request.parent.source, "more-width")

    slower = latency_of({"width": 0, "depth": 0, "lanes": 0, "tiles": 6})
    assert slower > 1.1 * latency_of({"width": 0, "depth": 0, "lanes": 0, "tiles": 0}), "more than slack forgives"
    plain = ScriptedModels(coded=coded)
    await run(Landscape(), plain, tmp_path / "a", {"iterations": 2})
    assert {request.parent.id for request in plain.plans} == {"0"}
    translating = ScriptedModels(coded=coded)
    await run(Landscape(), translating, tmp_path / "b", {"iterations": 2, "translate_iterations": 1})
    assert {request.parent.id for request in translating.plans if request.iteration == 2} == {"1.0.0.0"}
    assert [request.translate for request in translating.plans] == [True] * 3 + [False] * 3


async def test_in_one_phase_nobody_plans_and_the_coder_names_its_option(tmp_path: Path) -> None:
    models = ScriptedModels()
    status = await run(Landscape(), models, tmp_path, {"one_phase": True, "codes": 2})
    assert models.plans == []
    assert status.model_calls == len(models.codes) > 0
    assert all(request.direct is not None and request.direct.menu for request in models.codes)
    options = {c["plan"]["option"] for c in candidates(tmp_path, status.run_id) if c["plan"]}
    assert options <= {"more-width", "more-depth", "more-lanes", "more-tiles"} and len(options) > 1
    assert [step.option for step in status.lineage][1:], "something was gained"
    assert "direct" not in [step.option for step in status.lineage]


async def test_duplicates_are_evaluated_where_that_is_wanted(tmp_path: Path) -> None:
    def coded(request: CodeRequest) -> str:
        return raised(request.parent.source, "more-width")

    land = Landscape()
    status = await run(land, ScriptedModels(coded=coded), tmp_path / "a", {"iterations": 1, "codes": 2})
    assert (status.evaluations, status.duplicates, len(land.log)) == (2, 5, 2)
    land = Landscape()
    settings = {"iterations": 1, "codes": 2, "duplicates": "evaluate"}
    status = await run(land, ScriptedModels(coded=coded), tmp_path / "b", settings)
    assert (status.evaluations, status.duplicates, len(land.log)) == (7, 0, 7)


async def test_the_limit_of_tokens_holds_and_may_be_raised(tmp_path: Path) -> None:
    models = ScriptedModels(tokens=100)
    settings = {"max_tokens": 1000, "iterations": 20, "max_parallel_model": 4}
    status = await run(Landscape(), models, tmp_path / "a", settings, run_id="r")
    assert status.limit == "tokens" and status.stop_reason == "tokens limit reached: 1000 of 1000 tokens"
    assert status.tokens.total == 1000 and status.model_calls == 10
    more = ScriptedModels(tokens=100)
    status = await run(Landscape(), more, tmp_path / "a", {}, again="r", limits={"max_tokens": 2000})
    assert status.tokens.total == 2000 and len(more.plans) + len(more.codes) == 10
    whole = await run(Landscape(), ScriptedModels(tokens=100), tmp_path / "b", settings | {"max_tokens": 2000})
    assert (status.model_calls, status.tokens) == (whole.model_calls, whole.tokens)


async def test_a_model_that_is_dear_and_useless_is_asked_less_and_less(tmp_path: Path) -> None:
    def coded(request: CodeRequest) -> str:
        return worse(request) if request.model == "dear" else raised(request.parent.source, request.plan.option)

    settings = {"iterations": 10, "plans": 6, "codes": 2, "patience": None}
    models = ScriptedModels(coded=coded, prices={"dear": 0.5, "cheap": 0.01})
    await run(Landscape(), models, tmp_path / "a", settings)

    def share(models: ScriptedModels, iterations: range) -> float:
        asked = [r.model for r in models.codes if int(r.key.split(".")[0]) in iterations]
        return asked.count("dear") / len(asked)

    assert share(models, range(1, 2)) > 0.1, "it had its chance"
    assert share(models, range(4, 11)) < 0.1
    weighed = ScriptedModels(coded=coded, prices={"dear": 0.5, "cheap": 0.01})
    await run(Landscape(), weighed, tmp_path / "b", settings | {"model_choice": "weights"})
    assert share(weighed, range(4, 11)) > 0.3


async def test_who_planned_and_who_coded_is_kept(tmp_path: Path) -> None:
    models = ScriptedModels(prices={"one": 0.1, "two": 0.1})
    status = await run(Landscape(), models, tmp_path, {"iterations": 2, "plans": 6, "codes": 2})
    made = [c for c in candidates(tmp_path, status.run_id) if c["plan"]]
    assert {c["model"] for c in made} == {c["plan"]["model"] for c in made} == {"one", "two"}
    asked = {(request.key, request.model) for request in models.codes}
    assert {(c["id"], c["model"]) for c in made} <= asked


async def test_without_dropout_the_menu_is_whole_and_with_it_never_empty(tmp_path: Path) -> None:
    for choice, drop in (("adaptive", 0.0), ("random", 0.0), ("adaptive", 0.95), ("random", 0.95)):
        models = ScriptedModels()
        settings = {"menu_choice": choice, "dropout": drop, "plans": 8}
        await run(Landscape(), models, tmp_path / f"{choice}{drop}", settings)
        sizes = {len(request.menu) for request in models.plans}
        assert sizes == {4} if drop == 0.0 else min(sizes) >= 1 and min(sizes) < 4
        assert choice == "adaptive" or drop == 0.0 or max(sizes) < 4


async def test_the_cure_for_the_costliest_bottleneck_is_always_on_the_menu(tmp_path: Path) -> None:
    """It goes once it was applied on the way to the kernel, or tried on it."""
    models = ScriptedModels()
    await run(Landscape(), models, tmp_path, {"dropout": 0.95, "plans": 8, "iterations": 4, "ancestors": 32})
    assert models.plans
    for request in models.plans:
        known = {step.plan.option for step in request.ancestors} | {attempt.option for attempt in request.tried}
        assert {"more-width", "more-lanes"} - known <= {offer.id for offer in request.menu}


async def test_a_planner_that_is_not_to_see_the_diagnosis_is_not_told_it_by_the_menu(tmp_path: Path) -> None:
    async def asked(**settings: Any) -> set[int | None]:
        models = ScriptedModels()
        await run(Landscape(), models, tmp_path / str(len(settings)), {"iterations": 1, **settings})
        return {offer.addresses for request in models.plans for offer in request.menu}

    assert asked_for(await asked())
    assert not asked_for(await asked(menu_choice="random", feedback=("latency", "utilisation")))


def asked_for(addresses: set[int | None]) -> bool:
    return addresses != {None}
