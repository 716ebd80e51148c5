"""Answers that come in any order, or not at all: what is begun, what is judged, and what a run says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import ModelUnavailableError
from autocomp_mcp.agent.models.base import CodeReply, CodeRequest, PlanReply, PlanRequest
from autocomp_mcp.agent.runs.candidate import ROOT
from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, Landscape, kernel
from scripted_models import ScriptedModels

pytestmark = pytest.mark.anyio
ONE = {"iterations": 1, "plans": 2, "codes": 1, "beam": 1, "repairs": 0, "dropout": 0.0, "reuse": "none"}
SAME = kernel(width=3)
WRONG = kernel(width=9)


class Paced(ScriptedModels):
    """`late`: keys of requests that are answered after the others; `away`: those that never are."""

    def __init__(self, written: Callable[[CodeRequest], str], *, late: str = "", away: str = "", **more: Any) -> None:
        super().__init__(coded=written, **more)
        self.late, self.away = late, away

    async def _pace(self, request: PlanRequest | CodeRequest) -> None:
        if request.key == self.late:
            await anyio.sleep(0.1)
        if request.key == self.away:
            raise ModelUnavailableError("the service is away")

    async def plan(self, request: PlanRequest) -> PlanReply:
        await self._pace(request)
        return await super().plan(request)

    async def generate(self, request: CodeRequest) -> CodeReply:
        await self._pace(request)
        return await super().generate(request)


async def run(
    land: Landscape, home: Path, models: ScriptedModels, *, again: str = "", limits: Any = None, listener: Any = None,
    **settings: Any,
) -> RunStatus:  # fmt: skip
    with anyio.fail_after(20):
        async with Toolbox.connect(land.server, retry_delays_s=()) as toolbox:
            shared = {
                "toolbox": toolbox, "models": models, "journal": Journal(home / "db"), "runs_dir": home / "runs",
                "listener": listener,
            }  # fmt: skip
            if again:
                return await resume(again, **shared, limits=limits)
            return await search(PROBLEM, SearchSettings.for_model("x", **(ONE | settings)), run_id="r", **shared)


async def test_the_same_kernel_twice_near_the_limit(tmp_path: Path) -> None:
    """The later place has it first, and no permit; the earlier one does not wait for that."""
    status = await run(Landscape(), tmp_path, Paced(lambda _: SAME, late="1.0.0"), max_evaluations=2)
    assert (status.evaluations, status.duplicates, status.state) == (2, 1, "finished")
    assert status.best is not None and status.best.candidate == "1.0.0.0"


async def test_a_place_that_fails_holds_no_evaluation_back(tmp_path: Path) -> None:
    models = Paced(lambda request: kernel(width=1 + request.code), late="1.0.0.0", away="1.0.0.0")
    status = await run(Landscape(), tmp_path, models, plans=1, codes=2, max_evaluations=2)
    assert (status.state, status.evaluations) == ("failed", 2), "what was written is paid for, and judged"
    assert "away" in str(status.stop_reason)


async def test_a_service_that_is_away_is_asked_no_more(tmp_path: Path) -> None:
    models = Paced(lambda _: SAME, away="1.0.2")
    status = await run(Landscape(), tmp_path, models, plans=9, max_parallel_model=1)
    assert status.state == "failed"
    assert [request.slot for request in models.plans] == [0, 1] and not models.codes


async def test_an_engine_that_fails_gets_no_more_kernels(tmp_path: Path) -> None:
    land = Landscape()

    def written(request: CodeRequest) -> str:
        land.failures = 1000
        return kernel(width=1 + request.code)

    status = await run(land, tmp_path, Paced(written), codes=5, plans=1, max_parallel_engine=1)
    assert status.state == "failed" and land.failures == 999


async def test_one_of_the_same_failing_kernels_is_repaired(tmp_path: Path) -> None:
    for late in ("1.0.0", "1.0.1"):
        models = Paced(lambda request: SAME if request.failed_source else WRONG, late=late)
        status = await run(Landscape(), tmp_path / late, models, repairs=1)
        assert sum(request.failed_source is not None for request in models.codes) == 1
        assert (status.evaluations, status.duplicates) == (3, 1)


async def test_a_resumed_run_keeps_its_best_kernel(tmp_path: Path) -> None:
    """Also where it is stopped before it has come to that kernel again."""
    models = ScriptedModels()
    before = await run(Landscape(), tmp_path, models, iterations=3)
    assert before.best is not None and before.best.candidate != ROOT
    file = tmp_path / "runs" / "r" / "best.c"
    text = file.read_text()
    told: list[SearchEvent] = []
    with anyio.CancelScope() as scope:

        def stop(event: SearchEvent) -> None:
            told.append(event)
            if event.kind == "candidate":
                scope.cancel()

        await run(Landscape(), tmp_path, models, again="r", limits={"iterations": 9}, listener=stop)
    assert file.read_text() == text
    assert {event.best and event.best.latency for event in told} == {before.best.latency}


async def test_a_confirmed_kernel_that_an_earlier_place_has_too(tmp_path: Path) -> None:
    """The later place was confirmed; resumed, the earlier one brings the same kernel, which takes that one's name."""
    land = Landscape()
    models = Paced(lambda _: SAME, late="1.0.0", prices={"scripted": 1.0})
    begun = await run(land, tmp_path, models, confirm="toyrtl", confirm_top=1, max_cost_usd=3.0)
    assert begun.limit == "cost" and [c.candidate for c in begun.confirmations] == ["1.0.1.0"]
    ended = await run(land, tmp_path, models, again="r", limits={"max_cost_usd": 9.0})
    assert ended.best is not None and ended.best.candidate == "1.0.0.0"
    assert [c.candidate for c in ended.confirmations] == ["1.0.0.0"] and len(land.rtl_log) == 1


class Half(ScriptedModels):
    """One of two models never gives an answer of use."""

    async def plan(self, request: PlanRequest) -> PlanReply:
        reply = await super().plan(request)
        return reply if request.model == "able" else reply.model_copy(update={"plan": None, "complaint": "?"})


async def test_a_model_without_a_useful_answer_is_asked_ever_less(tmp_path: Path) -> None:
    models = Half(
        coded=lambda request: f"{SAME}int n{request.key.replace('.', '_')};", prices={"able": 0.0, "lost": 0.0}
    )
    await run(Landscape(), tmp_path, models, iterations=8, plans=6, model_choice="adaptive", patience=20)
    asked = Counter(request.model for request in models.plans if request.iteration > 4 and request.attempt == 0)
    assert asked["able"] > 3 * asked["lost"], asked
