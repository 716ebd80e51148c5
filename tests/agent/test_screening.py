"""A slow engine judges only what the target's own simulator passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, TOP, Landscape
from scripted_models import ScriptedModels, raised

pytestmark = pytest.mark.anyio


async def run(land: Landscape, home: Path, **settings: Any) -> tuple[RunStatus, dict[str, str]]:
    """The status, and of each candidate which engine judged it and how."""
    models = ScriptedModels(
        coded=lambda request: raised(request.parent.source, request.plan.option, TOP + 1 if request.code else 1)
    )
    wanted = SearchSettings.for_model(
        "scripted", iterations=1, plans=2, codes=2, repairs=0, reuse="none", timeout_s=None, **settings
    )
    async with Toolbox.connect(land.server, retry_delays_s=()) as toolbox:
        journal = Journal(home / "autocomp.db")
        status = await search(PROBLEM, wanted, toolbox=toolbox, models=models, journal=journal, runs_dir=home / "runs")
    judged = {
        event["data"]["id"]: f"{found['engine']}: {found['verdict']}"
        for event in journal.events(status.run_id)
        if event["kind"] == "candidate" and (found := event["data"]["evaluation"])
    }
    return status, judged


async def test_what_fails_on_the_simulator_takes_no_time_of_the_slow_engine(tmp_path: Path) -> None:
    land = Landscape()
    status, judged = await run(land, tmp_path, engine="toyrtl")
    right, wrong = "toyrtl: passed", "toysim: wrong_result"
    assert judged == {"0": right, "1.0.0.0": right, "1.0.0.1": wrong, "1.0.1.0": right, "1.0.1.1": wrong}
    assert len(land.rtl_log) == 3 and len(land.log) == 5
    assert status.engine == "toyrtl" and status.best is not None and status.best.source == "measured"


async def test_what_the_simulator_cannot_judge_the_chosen_engine_does(tmp_path: Path) -> None:
    land = Landscape()
    land.beyond_toysim = lambda values: sum(values.values()) > 0  # all but the first kernel
    _, judged = await run(land, tmp_path, engine="toyrtl")
    right, wrong = "toyrtl: passed", "toyrtl: wrong_result"
    assert judged == {"0": right, "1.0.0.0": right, "1.0.0.1": wrong, "1.0.1.0": right, "1.0.1.1": wrong}


@pytest.mark.parametrize("settings", [{"engine": "toyrtl", "screen": False}, {"engine": "toysim"}, {}])
async def test_without_a_screen_one_engine_judges_everything(tmp_path: Path, settings: dict[str, Any]) -> None:
    land = Landscape()
    status, judged = await run(land, tmp_path, **settings)
    engine = settings.get("engine", "toysim")
    assert {said.partition(":")[0] for said in judged.values()} == {engine} and status.evaluations == 5
    assert len(land.rtl_log) + len(land.log) == 5, "each kernel once, by one engine"
