"""A search whose disk, database, clock or language model fails: nothing finished is lost, nothing is paid for twice."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import JournalError, RunBusyError
from autocomp_mcp.agent.runs import database, patience
from autocomp_mcp.agent.runs.journal import Journal, SteadyClock
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from faults import Disk, Holding, Process, can_mount, intact, on_small_disk, stopped, until
from landscape import PROBLEM
from language_bench import CALL_USD, bench, clever
from messages_api import Answer, MessagesApi, broken_off, status

pytestmark = pytest.mark.trust
ROW = "faults survived"
SCRIPT = Path(__file__).parents[1] / "fakes" / "search_process.py"
SETTINGS = {"iterations": 3, "plans": 3, "beam": 2, "dropout": 0, "max_parallel_model": 2, "stop_utilisation": 1}
SAME = ("best", "best_source", "lineage", "evaluations", "model_calls", "cost_usd", "tokens", "state", "stop_reason")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def searched(api: MessagesApi, home: Path, **options: Any) -> RunStatus:
    async with bench(api, home, **({"backoff_s": (0.01,) * 8, "sdk_retries": 0} | options)) as shared:
        return await search(PROBLEM, SearchSettings.for_model("anthropic:x", **SETTINGS), run_id="r", **shared)


async def gone_on(api: MessagesApi, home: Path) -> RunStatus:
    async with bench(api, home) as shared:
        return await resume("r", **shared)


def same(found: RunStatus, wanted: RunStatus) -> bool:
    return all(getattr(found, name) == getattr(wanted, name) for name in SAME)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> RunStatus:
    with MessagesApi(clever) as api:
        found = anyio.run(searched, api, tmp_path_factory.mktemp("wanted"))
        assert found.model_calls == len(api.requests) > 20 and found.state == "finished"
    return found


# ---------------------------------------------------------------- the model's service


class Unreliable:
    """A service that fails more often than not, in all the ways there are, and answers in the end."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.answered = 0

    def __call__(self, body: dict[str, Any]) -> Answer:
        said = clever(body)
        how = self._chance.choice(["429", "500", "529", "cut", "error", "slow", "", "", "", ""])
        if how in ("429", "500", "529"):
            return status(int(how))
        if how in ("cut", "error"):
            return broken_off(said, None if how == "cut" else "overloaded_error")
        time.sleep(0.1 if how else 0.0)
        self.answered += 1
        return said


@pytest.mark.anyio
async def test_a_service_that_fails_in_all_ways(tmp_path: Path, wanted: RunStatus, score, how_many) -> None:
    for seed in range(how_many(1, 20)):
        with MessagesApi(service := Unreliable(seed)) as api:
            found = await searched(api, tmp_path / str(seed))
        held = same(found, wanted) and service.answered == found.model_calls
        score(ROW, held)
        assert held, found
        assert found.cost_usd == pytest.approx(found.model_calls * CALL_USD)
        assert len(api.requests) > found.model_calls, "it did fail"


@pytest.mark.anyio
async def test_a_service_that_is_away_for_long(tmp_path: Path, wanted: RunStatus, score) -> None:
    with MessagesApi(clever) as api:
        many = [clever] * 9
        api.replies = [*many, status(529)]
        stopped = await searched(api, tmp_path, backoff_s=(0.01,))
        assert stopped.state == "failed" and "did not answer" in (stopped.stop_reason or "")
        before = stopped.model_calls
        api.replies = [clever]
        asked = len(api.requests)
        found = await gone_on(api, tmp_path)
        held = same(found, wanted) and len(api.requests) - asked == wanted.model_calls - before
    score(ROW, held)
    assert held, found


@pytest.mark.anyio
async def test_a_service_that_nobody_answers_for(tmp_path: Path, score) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with MessagesApi(clever) as api:
        api.url = f"http://127.0.0.1:{port}"
        found = await searched(api, tmp_path, backoff_s=())
    held = found.state == "failed" and found.model_calls == 0 and found.evaluations == 1
    score(ROW, held)
    assert held, found


# ---------------------------------------------------------------- the disk


@pytest.mark.skipif(not can_mount(), reason="a process may have no mounts of its own here")
def test_a_disk_that_is_full_for_a_while(tmp_path: Path, score) -> None:
    """The search waits until somebody makes room, and ends as one that never had to."""
    outcomes = []
    for full in (False, True):
        home, log = tmp_path / f"home{full}", tmp_path / f"log{full}"
        command = on_small_disk(home, "3M", [sys.executable, str(SCRIPT), str(home), "r", str(log)])
        working = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if full:
            assert until(log.exists)
            disk = Disk(working.pid, home)
            with stopped(Process(working.pid)):  # or it would be through before the disk is full
                disk.fill()
            time.sleep(2)
            before = log.read_text()
            time.sleep(2)
            assert working.poll() is None, working.communicate()
            assert log.read_text() == before, "it was not in need of the disk"
            disk.make_room()
        out, complained = working.communicate(timeout=180)
        assert working.returncode == 0, complained
        outcomes.append((json.loads(out), log.read_text().split()))
    (calm, calm_log), (found, found_log) = outcomes
    held = all(found[name] == calm[name] for name in ("best", "lineage", "evaluations", "model_calls", "stop_reason"))
    held = held and sorted(found_log) == sorted(calm_log)
    score(ROW, held)
    assert held, (calm, found)


# ---------------------------------------------------------------- the database


@pytest.mark.anyio
@pytest.mark.parametrize("patient", [True, False])
async def test_a_journal_that_another_process_holds(
    patient: bool, tmp_path: Path, wanted: RunStatus, monkeypatch: pytest.MonkeyPatch, score
) -> None:
    """For a while: answers that were paid for wait. For good: the search ends, and resumed it goes on."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(patience, "DELAYS_S", (0.2,) * (60 if patient else 2))
    holding: list[Holding] = []
    asked_after: list[int] = []

    def author(body: dict[str, Any]) -> Answer:
        if len(api.requests) == 8 and not holding:
            holding.append(Holding(tmp_path / "db"))
        if holding:
            asked_after.append(1)
        return clever(body)

    async def let_go() -> None:
        while not holding:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        await anyio.sleep(2)
        holding[0].let_go()

    with MessagesApi(author) as api:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_go)
            if patient:
                found = await searched(api, tmp_path)
                repeated = 0
            else:
                with pytest.raises(JournalError, match="cannot be written"):
                    await searched(api, tmp_path)
        if not patient:
            asked, known = len(api.requests), Journal(tmp_path / "db").status("r").model_calls
            found = await gone_on(api, tmp_path)
            repeated = asked - known
            assert len(api.requests) - asked == found.model_calls - known
        held = same(found, wanted) and 0 <= repeated <= 2 and intact(tmp_path / "db")
    score(ROW, held)
    assert held, (found, repeated)


@pytest.mark.anyio
async def test_two_processes_want_one_run(tmp_path: Path, score) -> None:
    refused = []

    def author(body: dict[str, Any]) -> Answer:
        if len(api.requests) == 5:
            code = (
                "import sys, anyio\nfrom autocomp_mcp.agent.runs.journal import Journal\n"
                f"Journal({str(tmp_path / 'db')!r}).acquire('r')\n"
            )
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            refused.append(RunBusyError.__name__ in done.stderr)
        return clever(body)

    with MessagesApi(author) as api:
        found = await searched(api, tmp_path)
    held = refused == [True] and found.state == "finished" and found.model_calls == len(api.requests)
    score(ROW, held)
    assert held, (refused, found)


def test_two_searches_in_one_home(tmp_path: Path, score) -> None:
    logs = [tmp_path / name for name in "ab"]
    working = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path), name, str(log)], stdout=subprocess.PIPE, text=True
        )
        for name, log in zip("ab", logs, strict=True)
    ]
    first, second = (json.loads(process.communicate(timeout=180)[0]) for process in working)
    ended = {found["state"] for found in (first, second)}  # what one finds depends on what it could learn of the other
    held = ended == {"finished"} and intact(tmp_path / "autocomp.db")
    score(ROW, held)
    assert held, (first, second)


# ---------------------------------------------------------------- the clock


class Jumping:
    """The time of day of a machine whose clock is set."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.mark.anyio
@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_a_clock_that_is_set(jump_s: float, tmp_path: Path, wanted: RunStatus, score) -> None:
    """Nobody takes the run away from a process that lives, and its time limit counts seconds, not dates."""
    wall, seen = Jumping(), []

    def author(body: dict[str, Any]) -> Answer:
        if len(api.requests) == 6:
            wall.ahead_s = jump_s
        if len(api.requests) == 8:
            seen.append(Journal(tmp_path / "db", SteadyClock(wall)).status("r"))
        return clever(body)

    limited = SearchSettings.for_model("anthropic:x", **SETTINGS, timeout_s=3000)
    with MessagesApi(author) as api:
        async with bench(api, tmp_path) as shared:
            shared["journal"] = Journal(tmp_path / "db", SteadyClock(wall))
            found = await search(PROBLEM, limited, run_id="r", **shared)
    held = same(found, wanted) and seen[0].state == "running" and 0 < found.wall_s < 600
    score(ROW, held)
    assert held, (found, seen)
