"""Many callers, for long: no errors but those that ask to come back later, nobody starves, nothing grows.

python -m pytest -m trust tests/trust/test_load.py --full     a hundred clients for ten minutes, an hour of searches
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from autocomp_mcp.agent.answers import BUSY
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.eviction import IN_USE_S, tidy
from autocomp_mcp.hardware_adapters.store import EvaluationCache, Home
from autocomp_mcp.tools.slots import Slots, on_behalf_of
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver.exceptions import ToolError
from server_process import Serving, clean_environment

pytestmark = pytest.mark.trust
MakeHome = Callable[[Path], Path]
PROBLEM = "gemmini/gemm-32x32x32"
TOKENS = 4
TOKEN = "one-of-the-callers-"
MEMORY_BYTES = 150 << 20  # that a server may grow by after its first fifth
SEARCH = {"problem": PROBLEM, "model": "offline", "settings": {"iterations": 2, "max_evaluations": 3, "plans": 2}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


EVALUATION = Evaluation(
    problem="toy/x", kernel="k", verdict="passed", message="fine", engine="e", engine_version="1", source="estimated",
    seed=0,
)  # fmt: skip


class Watched:
    """What a process holds, by /proc."""

    def __init__(self, pid: int) -> None:
        self._place = Path(f"/proc/{pid}")

    @property
    def resident_bytes(self) -> int:
        return int((self._place / "statm").read_text().split()[1]) * 4096

    @property
    def descriptors(self) -> int:
        return len(list((self._place / "fd").iterdir()))


# ---------------------------------------------------------------- many clients


def calls(baseline: str) -> list[tuple[str, dict[str, Any]]]:
    """A turn of each tool; `#` stands for a number that makes a kernel another one."""
    changed = baseline + "\nstatic const int unused_# = #;\n"
    return [
        ("list_targets", {}), ("list_problems", {}), ("get_problem", {"problem": PROBLEM}),
        ("list_optimizations", {"problem": PROBLEM}),
        ("get_optimization", {"option": "larger-tile", "problem": PROBLEM}),
        ("simulate_kernel", {"problem": PROBLEM, "source": baseline}),
        ("simulate_kernel", {"problem": PROBLEM, "source": changed}),
        ("compile_kernel", {"problem": PROBLEM, "source": changed}),
        ("profile_kernel", {"problem": PROBLEM, "source": baseline}),
        ("compare_kernels", {"problem": PROBLEM, "a": baseline, "b": baseline}),
        ("start_search", SEARCH), ("get_search", {"run": "RUN", "wait_s": 1}), ("cancel_search", {"run": "RUN"}),
    ]  # fmt: skip


class Caller:
    """A connection of its own that calls one tool after the other, and comes back later when it is asked to."""

    def __init__(self, url: str, number: int, baseline: str) -> None:
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(300), headers={"Authorization": f"Bearer {TOKEN}{number % TOKENS}"}
        )
        self._url, self._number = url, number
        self._calls = calls(baseline)
        self._run = "none"
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def until(self, deadline: float) -> None:
        turn = self._number
        async with self._http:
            while anyio.current_time() < deadline:
                name, arguments = self._calls[turn % len(self._calls)]
                turn += 1
                text = (
                    json.dumps(arguments).replace("#", f"{self._number}0{turn}").replace('"RUN"', json.dumps(self._run))
                )
                await self._call(name, json.loads(text), turn)

    async def _call(self, name: str, arguments: dict[str, Any], turn: int) -> None:
        if "none" in arguments.values():
            return
        body = {"jsonrpc": "2.0", "id": turn, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        headers = {"Accept": "application/json, text/event-stream"}
        try:
            answer = await self._http.post(self._url, json=body, headers=headers)
        except httpx2.HTTPError as error:
            self.wrong.append(f"{name}: {error!r}")
            return
        if answer.status_code == 503:
            assert "retry-after" in answer.headers
            self.answered["later"] += 1
            await anyio.sleep(float(answer.headers["retry-after"]))
            return
        sent = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        text = answer.text if answer.text.startswith("{") else sent[-1] if sent else "{}"
        result = (json.loads(text) if answer.status_code == 200 else {}).get("result")
        if result is None:
            self.wrong.append(f"{name}: {answer.status_code} {answer.text[:300]}")
        elif result.get("isError"):
            said = result["content"][0]["text"].removeprefix(f"Error executing tool {name}: ")
            await self._told(name, said)
        else:
            self.answered[name] += 1
            if name == "start_search":
                self._run = result["structuredContent"]["run_id"]

    async def _told(self, name: str, said: str) -> None:
        if (later := BUSY.match(said)) is not None:
            self.answered["later"] += 1
            await anyio.sleep(float(later[1]))
        elif "of your searches are running" in said or ("cancel" in name and "not driven" in said):
            self.answered["refused"] += 1
        else:
            self.wrong.append(f"{name}: {said[:300]}")


@pytest.mark.anyio
async def test_many_clients(tmp_path: Path, make_home: MakeHome, score, how_many) -> None:
    home = make_home(tmp_path / "home")
    count, seconds = how_many(20, 100), how_many(20, 600)
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"caller{n}:{TOKEN}{n}\n" for n in range(TOKENS)))
    options = ["--token-file", str(tokens), "--max-calls", "12"]
    with Serving(home, *options, AUTOCOMP_STATE_KEY="k" * 40) as serving:
        watched = Watched(serving.process.pid)
        async with httpx2.AsyncClient(timeout=120, headers={"Authorization": f"Bearer {TOKEN}0"}) as http:
            ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
            asked = ask | {"params": {"name": "get_problem", "arguments": {"problem": PROBLEM}}}
            answer = await http.post(serving.url, json=asked, headers={"Accept": "application/json, text/event-stream"})
        baseline = re.search(r'"structuredContent":(\{.*\})', answer.text)
        assert baseline, answer.text
        source = json.JSONDecoder().raw_decode(baseline[1])[0]["baseline"]
        callers = [Caller(serving.url, number, source) for number in range(count)]
        began = anyio.current_time()
        early: list[int] = []

        async def look() -> None:
            await anyio.sleep(seconds / 5)
            early.append(watched.resident_bytes)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            for caller in callers:
                tasks.start_soon(caller.until, began + seconds)
        grown = watched.resident_bytes - early[0]
        said = "".join(serving.said)
    wrong = [entry for caller in callers for entry in caller.wrong]
    total = sum((caller.answered for caller in callers), Counter())
    asked_for = total.total() + len(wrong)
    note = f"{count} clients, {seconds} s, {total['later']} times asked to come back later"
    score("load: calls over HTTP", asked_for - len(wrong), asked_for, note)
    assert not wrong, wrong[:10]
    assert all(caller.answered.total() for caller in callers), "somebody starved"
    assert total["simulate_kernel"] and total["start_search"] and total["compare_kernels"]
    assert grown < MEMORY_BYTES, f"{grown >> 20} MiB"
    assert "Traceback" not in said, said[-3000:]


# ---------------------------------------------------------------- turns


@pytest.mark.anyio
async def test_a_flood_of_one_caller_delays_another_by_a_turn(score) -> None:
    slots = Slots(2)
    order: list[str] = []

    async def work(caller: str) -> None:
        with on_behalf_of(caller):
            async with slots:
                order.append(caller)
                await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(work, "flood")
        await anyio.sleep(0.01)
        for name in ("other", "third"):
            for _ in range(5):
                tasks.start_soon(work, name)
        await anyio.lowlevel.checkpoint()
        before = len(order)
    after = order[before:]
    last = max(index for index, caller in enumerate(after) if caller != "flood")
    held = last < 3 * 10 and order.count("flood") == 200 and slots.waiting == 0
    score("load: turns of callers", held)
    assert held, after[:40]


@pytest.mark.anyio
async def test_a_queue_that_is_full_and_calls_that_are_given_up(score) -> None:
    slots = Slots(1, most_waiting=3)
    done: list[int] = []

    blocked = anyio.Event()

    async def work(number: int) -> None:
        async with slots:
            if number == 0:
                await blocked.wait()
            done.append(number)

    with anyio.CancelScope() as given_up:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ToolError) as refused:
                await work(9)
            given_up.cancel()
    later = BUSY.match(str(refused.value))
    with anyio.fail_after(5):
        await work(5)
    held = later is not None and 1 <= int(later[1]) <= 60 and done == [5] and slots.waiting == 0
    score("load: turns of callers", held)
    assert held, (refused.value, done)


# ---------------------------------------------------------------- a long life


async def state(client: Client, run: str) -> str:
    return ((await client.call_tool("get_search", {"run": run, "wait_s": 10})).structured_content or {})["state"]


@pytest.mark.anyio
async def test_one_server_and_search_after_search(tmp_path: Path, make_home: MakeHome, score, how_many) -> None:
    home = make_home(tmp_path / "home")
    wrapper = tmp_path / "serve.sh"
    wrapper.write_text(f"echo $$ > {tmp_path}/pid\nexec {sys.executable} -m autocomp_mcp serve\n")
    parameters = StdioServerParameters(command="/bin/sh", args=[str(wrapper)], env=clean_environment(home))
    seen: list[tuple[int, int]] = []
    async with Client(parameters) as client:
        watched = Watched(int((tmp_path / "pid").read_text()))
        deadline = time.monotonic() + how_many(12, 3600)
        while time.monotonic() < deadline or len(seen) < 4:
            begun = await client.call_tool(
                "start_search", SEARCH | {"settings": SEARCH["settings"] | {"seed": len(seen)}}
            )
            run = (begun.structured_content or {})["run_id"]
            with anyio.fail_after(300):
                while (await client.call_tool("get_search", {"run": run, "wait_s": 10})).structured_content[
                    "state"
                ] == "running":
                    pass
            seen.append((watched.resident_bytes, watched.descriptors))
    first = seen[len(seen) // 4]
    growth, more = seen[-1][0] - first[0], seen[-1][1] - first[1]
    held = growth < MEMORY_BYTES and more <= 8
    score("load: searches over stdio", len(seen) * held, len(seen), f"{growth >> 20} MiB and {more} descriptors more")
    assert held, seen


def test_what_is_kept_has_a_limit(tmp_path: Path, score) -> None:
    home, now = Home(tmp_path), time.time()
    digests = [home.keep(bytes([number]) * 8192, ".kernel") for number in range(100)]
    for number, digest in enumerate(digests):
        used = now - 10 * IN_USE_S + 60 * number
        os.utime(home.artifact(digest, ".kernel"), (used, used))
    assert home.touched(digests[0], ".kernel"), "the oldest of all, used just now"
    clock = iter(range(200))
    cache = EvaluationCache(home, clock=lambda: float(next(clock)))
    for number in range(40):
        cache.put(f"key{number}", EVALUATION)
    assert tidy(home, 100 * 8192).files == 0, "within the limit nothing goes"
    tidied = tidy(home, 50 * 8192)
    left = [number for number, digest in enumerate(digests) if home.artifact(digest, ".kernel").exists()]
    held = left == [0, *range(61, 100)] and tidied.files == 60 and tidied.evaluations == 13
    held = held and cache.get("key39") == EVALUATION and cache.get("key0") is None
    recent = tidy(home, 8192, now=now - 9 * IN_USE_S)
    score("load: limit of the cache", held and recent.files == 0)
    assert held, (left, tidied)
    assert recent.files == 0, "what may be in use stays"
