"""The whole loop against a synthetic target, through a real in-memory MCP connection."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent import controller
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import AgentUsageError, LeaseLostError, RunBusyError, ToolUsageError, UnknownRunError
from autocomp_mcp.agent.models.base import Models, PlanReply, PlanRequest
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.journal import Journal, Lease
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.base import InvalidSourceError
from landscape import PROBLEM, Landscape, kernel, latency_of, values_of
from scripted_models import ScriptedModels

pytestmark = pytest.mark.anyio
QUICK = {"iterations": 5, "plans": 3, "beam": 2, "stop_utilisation": 1.0, "timeout_s": None}


async def run(
    land: Landscape,
    home: Path,
    settings: dict[str, Any],
    *,
    again: str = "",
    models: Models | None = None,
    **more: Any,
) -> RunStatus:
    async with Toolbox.connect(land.server, retry_delays_s=(0.0, 0.0)) as toolbox:
        shared = {
            "toolbox": toolbox,
            "models": models or make_models("offline", toolbox),
            "journal": Journal(home / "autocomp.db"),
            "runs_dir": home / "runs",
        }
        if again:
            return await resume(again, **shared, **more)
        return await search(PROBLEM, SearchSettings.for_model("offline", **(QUICK | settings)), **shared, **more)


async def test_it_finds_the_best_kernel_and_says_how(tmp_path: Path) -> None:
    land = Landscape()
    status = await run(land, tmp_path, {"iterations": 30, "plans": 6, "beam": 4})
    assert status.state == "finished"
    assert status.best is not None and status.best.latency == 100.0
    assert status.stop_reason == "utilisation of 100% reached"
    assert status.best_source is not None
    assert values_of(status.best_source) == {"width": 6, "depth": 6, "lanes": 6, "tiles": 6}
    assert status.baseline is not None and status.speedup == pytest.approx(status.baseline.latency / 100)
    assert status.lineage[0].option is None and status.lineage[-1].latency == 100.0
    assert all(step.option for step in status.lineage[1:])
    text = (tmp_path / "runs" / status.run_id / "best.c").read_text()
    assert status.best_source in text
    for fact in (PROBLEM, "100 cycles", "estimated", "toysim 1", status.run_id, f"{status.speedup:.2f}x"):
        assert fact in text


async def test_no_kernel_is_evaluated_twice(tmp_path: Path) -> None:
    land = Landscape()
    status = await run(land, tmp_path, {"iterations": 8, "plans": 8, "beam": 4})
    assert len(land.log) == len(set(land.log)) == status.evaluations
    assert status.duplicates > 0, "two ways to the same kernel exist here, so the test means something"


async def test_same_seed_same_run_whatever_the_parallelism(tmp_path: Path) -> None:
    def told(status: RunStatus) -> Any:
        return status.best, status.lineage, status.evaluations, status.duplicates, status.model_calls

    one = await run(Landscape(), tmp_path / "1", {"max_parallel_engine": 1, "max_parallel_model": 1})
    two = await run(Landscape(delay_s=0.002), tmp_path / "2", {"max_parallel_engine": 8, "max_parallel_model": 8})
    other = await run(Landscape(), tmp_path / "3", {"seed": 1})
    assert told(one) == told(two)
    assert one.lineage != other.lineage


async def test_as_many_evaluations_at_once_as_there_is_room_for_in_each_session(tmp_path: Path) -> None:
    small, large = Landscape(at_once=1, delay_s=0.002), Landscape(at_once=5, delay_s=0.002)
    begun = await run(small, tmp_path, {"max_evaluations": 9})
    resumed = await run(large, tmp_path, {}, again=begun.run_id, limits={"max_evaluations": 20})
    assert len(small.log) == 9 and resumed.evaluations == 20
    assert (small.most_under_way, large.most_under_way) == (1, 5)


async def test_limit_of_evaluations(tmp_path: Path) -> None:
    land = Landscape()
    status = await run(land, tmp_path, {"max_evaluations": 7})
    assert len(land.log) == status.evaluations == 7
    assert status.state == "finished" and "evaluations limit reached: 7 of 7" in str(status.stop_reason)


async def test_time_limit_ends_a_run_in_flight_and_keeps_the_best(tmp_path: Path) -> None:
    land = Landscape()

    def slow_down(event: SearchEvent) -> None:
        if event.evaluations >= 4:
            land.delay_s = 1000.0

    status = await run(land, tmp_path, {"timeout_s": 2.0}, listener=slow_down)
    assert status.state == "finished" and "time limit reached" in str(status.stop_reason)
    assert status.best is not None and status.evaluations >= 1


async def test_machine_failures_are_retried_and_blamed_on_no_kernel(tmp_path: Path) -> None:
    land = Landscape(failures=2)
    status = await run(land, tmp_path, {"iterations": 1})
    assert status.state == "finished" and status.best is not None

    land.failures = 1000
    status = await run(land, tmp_path, {"iterations": 1}, run_id="broken")
    assert status.state == "failed" and status.evaluations == 0
    assert "failed 3 times" in str(status.stop_reason)

    land.failures = 0
    status = await run(land, tmp_path, {}, again="broken")
    assert status.state == "finished" and status.best is not None


async def test_cancelled_then_resumed_is_as_undisturbed(tmp_path: Path) -> None:
    whole = await run(Landscape(), tmp_path / "a", {})
    land = Landscape()
    with anyio.CancelScope() as scope:

        def stop(event: SearchEvent) -> None:
            if event.evaluations == 9:
                scope.cancel()

        await run(land, tmp_path / "b", {}, run_id="r", listener=stop)
    journal = Journal(tmp_path / "b" / "autocomp.db")
    assert journal.status("r").state == "cancelled"
    assert not journal.driven("r")
    status = await run(land, tmp_path / "b", {}, again="r")
    assert (status.best, status.lineage, status.evaluations) == (whole.best, whole.lineage, whole.evaluations)
    assert status.model_calls == whole.model_calls
    assert (await run(Landscape(), tmp_path / "b", {}, again="r")) == journal.status("r"), "finished: nothing to do"


async def test_a_search_stopped_as_it_begins_says_so(tmp_path: Path) -> None:
    class Interrupted(Journal):
        def create(self, *given: Any, **more: Any) -> Lease:
            lease = super().create(*given, **more)
            scope.cancel()
            return lease

    journal = Interrupted(tmp_path / "autocomp.db")
    async with Toolbox.connect(Landscape().server) as toolbox:
        with anyio.CancelScope() as scope:
            await search(
                PROBLEM, SearchSettings.for_model("offline", **QUICK), toolbox=toolbox, journal=journal, run_id="early",
                models=make_models("offline", toolbox), runs_dir=tmp_path / "runs",
            )  # fmt: skip
    assert scope.cancelled_caught and journal.status("early").state == "cancelled"


@pytest.mark.parametrize(
    ("name", "little", "much", "why"),
    [
        ("max_evaluations", 7, 25, "evaluations"),
        ("max_evaluations", 1, 1000, "evaluations"),
        ("iterations", 2, 5, None),
        ("timeout_s", 0.4, 1000.0, "time"),
    ],
)
async def test_resumed_with_a_larger_limit_is_as_if_it_had_had_it(
    tmp_path: Path, name: str, little: float, much: float, why: str | None
) -> None:
    def told(status: RunStatus) -> Any:
        # At a limit of evaluations it depends on time which duplicates and calls were still made, not which kernels.
        more = () if why == "evaluations" else (status.duplicates, status.model_calls)
        return status.best, status.lineage, status.evaluations, status.stop_reason, *more

    other = Landscape()
    whole = await run(other, tmp_path / "a", {name: much})
    land = Landscape(delay_s=0.1 if name == "timeout_s" else 0.0)
    first = await run(land, tmp_path / "b", {name: little}, run_id="r")
    assert first.state == "finished" and first.limit == why
    assert first.evaluations < whole.evaluations
    land.delay_s = 0.0
    status = await run(land, tmp_path / "b", {}, again="r", limits={name: much})
    assert told(status) == told(whole)
    assert len(land.log) == len(set(land.log)) == status.evaluations, "nothing is evaluated twice"
    assert land.profiled == other.profiled
    assert Journal(tmp_path / "b" / "autocomp.db").row("r").settings[name] == much, "a further resume keeps it"


async def test_limits_that_are_no_more_than_what_was_used_are_refused(tmp_path: Path) -> None:
    land = Landscape()
    first = await run(land, tmp_path, {"max_evaluations": 7}, run_id="r")
    journal = Journal(tmp_path / "autocomp.db")
    events = len(journal.events("r"))
    for limits, words in (
        ({"max_evaluations": 7}, "has used 7 of max_evaluations; 7 is no more"),
        ({"max_evaluations": 9, "timeout_s": first.wall_s / 2}, "of timeout_s"),
        ({"iterations": first.iteration}, "of iterations"),
        ({"beam": 9}, "'beam' of a run cannot be changed"),
    ):
        with pytest.raises(AgentUsageError, match=words):
            await run(land, tmp_path, {}, again="r", limits=limits)
    assert len(journal.events("r")) == events
    assert len(land.log) == 7


async def test_a_listener_sees_all_and_cannot_stop_it(tmp_path: Path) -> None:
    seen: list[SearchEvent] = []

    def listen(event: SearchEvent) -> None:
        seen.append(event)
        raise RuntimeError("a display that fails")

    status = await run(Landscape(), tmp_path, {"max_evaluations": 20}, listener=listen)
    assert status.state == "finished"
    assert [seen[0].kind, seen[-1].kind] == ["started", "finished"]
    assert {event.phase for event in seen if event.kind == "phase"} == {"plan", "generate", "evaluate", "select"}
    judged = [event for event in seen if event.kind == "candidate" and event.verdict != "duplicate"]
    assert len(judged) == status.evaluations
    assert seen[-1].best is not None and status.best is not None and seen[-1].best.latency == status.best.latency
    latencies = [event.latency for event in seen if event.kind == "best"]
    assert latencies == sorted(latencies, reverse=True)  # pyright: ignore[reportArgumentType]


async def test_usage_errors_leave_no_run_behind(tmp_path: Path) -> None:
    land = Landscape()
    async with Toolbox.connect(land.server) as toolbox:
        models, journal = make_models("offline", toolbox), Journal(tmp_path / "db")
        shared = {"toolbox": toolbox, "models": models, "journal": journal, "runs_dir": tmp_path}
        with pytest.raises(ToolUsageError, match="did you mean toy/sum-64"):
            await search("toy/sum", SearchSettings(), **shared)
        with pytest.raises(InvalidSourceError):
            await search(PROBLEM, SearchSettings(), source="  ", **shared)
        with pytest.raises(UnknownRunError, match="nothing"):
            await resume("nothing", **shared)
        assert journal.statuses() == []
        status = await search(PROBLEM, SearchSettings(), source="syntax error", **shared)
        assert status.state == "failed" and "does not pass" in str(status.stop_reason)
        lease = journal.acquire(status.run_id)
        with pytest.raises(RunBusyError, match=status.run_id):
            await resume(status.run_id, **shared)
        journal.release(lease)
        models.spec = "offline2"
        with pytest.raises(AgentUsageError, match="'offline', not 'offline2'"):
            await resume(status.run_id, **shared)


async def test_a_search_that_another_process_takes_over_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "HEARTBEAT_S", 0.01)
    place = tmp_path / "autocomp.db"

    class Waiting(ScriptedModels):
        async def plan(self, request: PlanRequest) -> PlanReply:
            with closing(sqlite3.connect(place)) as theirs:
                theirs.execute("UPDATE leases SET token = 'theirs'")
                theirs.commit()
            await anyio.sleep_forever()
            raise AssertionError

    with anyio.fail_after(20), pytest.raises(LeaseLostError, match="taken over by another process"):
        await run(Landscape(), tmp_path, {}, models=Waiting())
    (left,) = Journal(place).statuses()
    assert left.stop_reason is None, "nothing more was written by the one that lost it"


async def test_a_source_of_ones_own_is_the_start(tmp_path: Path) -> None:
    mine = kernel(width=3, lanes=3)
    status = await run(Landscape(), tmp_path, {"iterations": 1}, source=mine)
    assert status.baseline is not None
    assert status.baseline.latency == latency_of({"width": 3, "depth": 0, "lanes": 3, "tiles": 0})


async def test_pages_of_a_long_source_are_put_together() -> None:
    land = Landscape()
    land.page = 7
    async with Toolbox.connect(land.server) as toolbox:
        assert (await toolbox.get_problem(PROBLEM)).baseline == kernel()
