"""Confirming the fastest kernels on a second engine, after the search."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import InfrastructureError, ToolUsageError
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, Landscape, latency_of

pytestmark = pytest.mark.anyio
QUICK = {"iterations": 4, "plans": 3, "beam": 2, "stop_utilisation": 1.0, "timeout_s": None, "confirm": "toyrtl"}


async def run(
    land: Landscape, home: Path, *, again: str = "", listener: Any = None, limits: Any = None, **settings: Any
) -> RunStatus:
    async with Toolbox.connect(land.server, retry_delays_s=()) as toolbox:
        # Confirming takes long: by this clock every run is past its time limit once it has begun with that.
        journal = Journal(home / "autocomp.db", lambda: time.time() + (1000 if land.rtl_log else 0))
        shared = {
            "toolbox": toolbox, "models": make_models("offline", toolbox), "journal": journal,
            "runs_dir": home / "runs", "listener": listener,
        }  # fmt: skip
        if again:
            return await resume(again, **shared, limits=limits)
        return await search(PROBLEM, SearchSettings.for_model("offline", **(QUICK | settings)), **shared)


def cycles(value: float) -> dict[str, Any]:
    return {"latency": {"value": value, "unit": "cycles", "statistic": "first call"}}


WRONG = {"verdict": "wrong_result", "message": "3 elements are wrong", "latency": None, "utilisation": None}


async def test_both_numbers_of_the_fastest_and_the_order_of_the_slow_engine(tmp_path: Path) -> None:
    """toyrtl turns the order of toysim round, so the best is another kernel than without it."""
    land = Landscape()
    land.rtl = lambda values: cycles(10_000 - latency_of(values))
    status = await run(land, tmp_path, confirm_top=3, confirm_timeout_s=900)
    assert status.state == "finished" and "best of 3 confirmed on toyrtl" in str(status.stop_reason)
    assert len({digest for digest, _ in land.rtl_log}) == len(land.rtl_log) == 3
    assert {timeout for _, timeout in land.rtl_log} == {900}
    assert [c.best for c in status.confirmations] == [True, False, False]
    for found in status.confirmations:
        assert found.passed and (found.engine, found.unit, found.source) == ("toyrtl", "cycles", "measured")
        assert found.latency == 10_000 - found.searched_latency and found.searched_unit == "cycles"
    searched = [c.searched_latency for c in status.confirmations]
    assert searched == sorted(searched, reverse=True) and len(set(searched)) > 1
    assert status.best is not None and status.baseline is not None
    assert (status.best.candidate, status.best.latency) == (status.confirmations[0].candidate, searched[0])
    assert status.best.source == "estimated", "the search's number stays what it is"
    assert status.speedup == status.baseline.latency / searched[0]
    assert status.lineage[-1].candidate == status.best.candidate
    text = (tmp_path / "runs" / status.run_id / "best.c").read_text()
    assert status.best_source is not None and status.best_source in text
    assert f"{10_000 - searched[0]:,.0f} cycles on toyrtl (measured)" in text
    plain = await run(Landscape(), tmp_path / "plain", confirm=None)
    assert plain.best is not None and plain.best.latency == min(searched) and plain.confirmations == ()
    assert plain.evaluations == status.evaluations == len(land.log), "confirming counts as no evaluation of the search"


async def test_a_kernel_that_the_slow_engine_refuses_is_not_the_best(tmp_path: Path) -> None:
    fastest = (await run(Landscape(), tmp_path / "plain", confirm=None)).best
    assert fastest is not None
    land = Landscape()
    land.rtl = lambda values: WRONG if latency_of(values) == fastest.latency else cycles(5.0)
    status = await run(land, tmp_path, confirm_top=2)
    refused = status.confirmations[-1]
    assert (refused.verdict, refused.latency, refused.best) == ("wrong_result", None, False)
    assert refused.searched_latency == fastest.latency and "3 elements" in refused.message
    assert status.best is not None and status.best.latency > fastest.latency


async def test_when_it_refuses_all_there_is_no_best(tmp_path: Path) -> None:
    land = Landscape()
    land.rtl = lambda values: WRONG
    status = await run(land, tmp_path, confirm_top=2)
    assert status.state == "finished" and "confirmed none of the 2" in str(status.stop_reason)
    assert status.best is None and status.speedup is None and status.best_source is None
    assert not (tmp_path / "runs" / status.run_id / "best.c").exists()


async def test_instructions_decide_nothing_but_right_and_wrong(tmp_path: Path) -> None:
    land = Landscape()
    land.rtl = lambda values: {
        "latency": {"value": 10_000 - latency_of(values), "unit": "instructions", "statistic": "first call"}
    }
    status = await run(land, tmp_path, confirm_top=3)
    searched = [c.searched_latency for c in status.confirmations]
    assert searched == sorted(searched) and status.best is not None and status.best.latency == searched[0]
    text = (tmp_path / "runs" / status.run_id / "best.c").read_text()
    assert "instructions on toyrtl (not a time)" in text


def slower_is_faster(ours: dict[str, int], other: dict[str, int]) -> tuple[float, bool]:
    """The order of toysim turned round."""
    return latency_of(ours) / latency_of(other), True


async def test_in_turns_the_speed_against_the_first_decides(tmp_path: Path) -> None:
    """Its latencies, each measured at another time, would have said the opposite."""
    land = Landscape()
    land.turns, land.rtl = slower_is_faster, lambda values: cycles(latency_of(values))
    status = await run(land, tmp_path, confirm_top=3, confirm_timeout_s=900)
    (first, alone), *others = land.turn_log
    assert alone is None and {against for _, against in others} == {first} and len(others) == 2
    speeds = [found.speed for found in status.confirmations]
    assert speeds[-1] is None and speeds[0] is not None and speeds[1] is not None
    assert speeds[0] > speeds[1] > 1.0 and status.confirmations[0].best
    assert status.confirmations[-1].latency == min(c.latency or 0 for c in status.confirmations)


async def test_in_turns_noise_is_no_gain(tmp_path: Path) -> None:
    land = Landscape()
    land.turns, land.rtl = lambda ours, other: (1.3, False), lambda values: cycles(10_000 - latency_of(values))
    status = await run(land, tmp_path, confirm_top=3, confirm_timeout_s=900)
    searched = [c.searched_latency for c in status.confirmations]
    assert searched == sorted(searched) and {c.speed for c in status.confirmations} == {None, 1.0}


async def test_in_turns_with_the_first_that_passes_there(tmp_path: Path) -> None:
    land = Landscape()
    best = (await run(Landscape(), tmp_path / "plain", confirm=None)).best
    assert best is not None
    land.turns = slower_is_faster
    land.rtl = lambda values: WRONG if latency_of(values) == best.latency else cycles(latency_of(values))
    status = await run(land, tmp_path, confirm_top=3, confirm_timeout_s=900)
    (_, nothing), (second, alone), (_, against) = land.turn_log
    assert nothing is None and alone is None and against == second
    assert [c.passed for c in status.confirmations] == [True, True, False]


async def test_what_is_new_is_timed_against_the_one_that_was_timed_alone(tmp_path: Path) -> None:
    land = Landscape()
    land.turns = slower_is_faster
    first = await run(land, tmp_path, max_evaluations=7, confirm_top=2, confirm_timeout_s=900)
    await run(land, tmp_path, again=first.run_id, limits={"max_evaluations": 25})
    assert len(land.turn_log) > 2 and [against for _, against in land.turn_log].count(None) == 1
    assert {against for _, against in land.turn_log[1:]} == {land.turn_log[0][0]}


@pytest.mark.parametrize("limit", [{}, {"max_evaluations": 7}, {"timeout_s": 600.0}], ids=str)
async def test_a_failing_engine_ends_the_run_and_resume_goes_on_there(tmp_path: Path, limit: dict[str, Any]) -> None:
    land = Landscape()
    land.rtl_failures = 100
    status = await run(land, tmp_path, confirm_top=3, max_parallel_engine=1, **limit)
    assert status.state == "failed" and "licence server" in str(status.stop_reason)
    assert len(status.confirmations) == 1 and status.best is not None
    searched, calls = len(land.log), status.model_calls
    land.rtl_failures = 0
    again = await run(land, tmp_path, again=status.run_id)
    assert again.state == "finished" and len(again.confirmations) == 3
    assert len(land.log) == searched and again.model_calls == calls, "nothing of the search is done again"
    assert len(land.rtl_log) == len(set(land.rtl_log)) == 3, "nor what was confirmed"
    undisturbed = await run(Landscape(), tmp_path / "undisturbed", confirm_top=3, **limit)
    for field in ("best", "lineage", "confirmations", "stop_reason", "evaluations"):
        assert getattr(again, field) == getattr(undisturbed, field), field
    assert (tmp_path / "runs" / again.run_id / "best.c").exists()


async def test_resumed_with_larger_limits_it_searches_on_and_confirms_what_is_new(tmp_path: Path) -> None:
    land = Landscape()
    land.rtl = lambda values: cycles(latency_of(values) + 1)
    first = await run(land, tmp_path, max_evaluations=7, confirm_top=3, timeout_s=600.0)
    assert first.state == "finished" and first.limit == "evaluations" and len(land.rtl_log) == 3
    assert first.wall_s > 900, "confirming took longer than the search may"
    # More time than the search has taken, and less than the run.
    status = await run(land, tmp_path, again=first.run_id, limits={"max_evaluations": 25, "timeout_s": 300.0})
    other = Landscape()
    other.rtl = land.rtl
    whole = await run(other, tmp_path / "whole", max_evaluations=25, confirm_top=3, timeout_s=300.0)
    for field in ("best", "lineage", "evaluations", "duplicates", "model_calls", "limit"):
        assert getattr(status, field) == getattr(whole, field), field
    assert status.best != first.best, "else there was nothing new to confirm"
    assert len(land.log) == status.evaluations, "nothing is evaluated twice"
    assert len(land.rtl_log) == len(set(land.rtl_log)) == len(status.confirmations) > 3, "nor confirmed twice"
    assert {c.candidate for c in first.confirmations} < {c.candidate for c in status.confirmations}
    assert [c.best for c in status.confirmations].count(True) == 1 and status.confirmations[0].best
    confirmed = f"best of {len(status.confirmations)} confirmed"
    assert f"{whole.stop_reason}".partition(";")[0] in str(status.stop_reason) and confirmed in str(status.stop_reason)
    assert await run(land, tmp_path, again=first.run_id) == status, "finished: nothing to do"


async def test_a_refused_kernel_is_not_the_best_while_the_search_goes_on_either(tmp_path: Path) -> None:
    land = Landscape()
    land.rtl = lambda values: WRONG
    first = await run(land, tmp_path, max_evaluations=7, confirm_top=2)
    refused = {c.candidate for c in first.confirmations}
    assert first.best is None and len(refused) == 2
    land.failures = 100
    broken = await run(land, tmp_path, again=first.run_id, limits={"max_evaluations": 25})
    assert broken.state == "failed" and broken.best is not None and broken.best.candidate not in refused
    assert not any(c.best for c in broken.confirmations) and {c.candidate for c in broken.confirmations} == refused
    text = (tmp_path / "runs" / first.run_id / "best.c").read_text()
    assert f"candidate {broken.best.candidate}\n" in text and "confirmed" not in text
    land.failures, land.rtl = 0, lambda values: cycles(latency_of(values))
    status = await run(land, tmp_path, again=first.run_id)
    assert status.state == "finished" and status.best is not None and status.best.candidate not in refused
    other = await run(Landscape(), tmp_path / "other", max_evaluations=25, confirm=None)
    assert (status.evaluations, status.model_calls) == (other.evaluations, other.model_calls), "it steers no search"


async def test_the_time_limit_is_the_searchs(tmp_path: Path) -> None:
    land = Landscape()

    def slow_down(event: SearchEvent) -> None:
        if event.evaluations >= 4:
            land.delay_s = 1000.0

    status = await run(land, tmp_path, timeout_s=2.0, listener=slow_down)
    assert "time limit reached" in str(status.stop_reason) and "confirmed on toyrtl" in str(status.stop_reason)
    assert status.best is not None and status.confirmations


async def test_engines_that_are_not_there_are_refused_before_the_search(tmp_path: Path) -> None:
    land = Landscape()
    with pytest.raises(ToolUsageError, match="toysim, toyrtl"):
        await run(land, tmp_path, confirm="toyfpga")
    land.rtl_here = False
    with pytest.raises(InfrastructureError, match=r"toyrtl.*as made up"):
        await run(land, tmp_path)
    assert not land.log and not Journal(tmp_path / "autocomp.db").statuses()
