"""simulate_kernel with several kernels, and compare_kernels, by real calls on the simulator."""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.registry import adapters
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools import ranking
from autocomp_mcp.tools.bench import Bench
from mcp import Client, StdioServerParameters

PROBLEM = "gemmini/gemm-64x64x64"
EMPTY = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { %s }\n'
ENDLESS = EMPTY % "for (;;) ;"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(make_home: Callable[[Path], Path], tmp_path: Path) -> Home:
    return Home(make_home(tmp_path / "home"))


@asynccontextmanager
async def connected(home: Home, bench: Bench | None = None) -> AsyncIterator[Client]:
    async with Client(build_server(bench or Bench(home))) as client:
        yield client


def kernels_of(home: Home) -> tuple[str, str]:
    """A slow kernel and a fast one, both right."""
    adapter = adapters(home)["gemmini"]
    problem = adapter.problem(PROBLEM)
    fast = adapter.reference_kernel(problem)
    assert fast
    return adapter.baseline(problem), fast


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    size = len(json.dumps(result.structured_content)) + sum(len(block.text.encode()) for block in result.content)
    assert size <= 8 * 1024, (tool, size)
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return result.content[0].text


@pytest.mark.anyio
async def test_several_kernels_come_back_ranked(home: Home) -> None:
    slow, fast = kernels_of(home)
    wrong, broken = EMPTY % "", EMPTY % "syntax error"
    sources = [wrong, slow, broken, fast, slow, EMPTY % "mvin(A, 0, 80, 16);", slow + "\n"]
    heard: list[tuple[float, float | None, str | None]] = []

    async def listen(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async with connected(home) as client:
        result = await client.call_tool(
            "simulate_kernel", {"problem": PROBLEM, "sources": sources}, progress_callback=listen
        )
        ranked = result.structured_content
        ranking = ranked["ranking"]
        assert [entry["sources"] for entry in ranking] == [[3], [1, 4], [6], [0], [2], [5]]
        assert [entry["verdict"] for entry in ranking] == [
            "passed", "passed", "passed", "wrong_result", "compile_error", "crashed",
        ]  # fmt: skip
        assert ranking[0]["latency"] < ranking[1]["latency"] == ranking[2]["latency"]
        assert ranking[4]["line"] == 2 and ranking[3]["latency"] is None
        assert [done for done, _, _ in heard] == [*range(7)] and {total for _, total, _ in heard} == {6}
        for entry in ranking[:2]:
            alone = await call(client, "simulate_kernel", problem=PROBLEM, source=sources[entry["sources"][0]])
            assert "ranking" not in alone and alone["cached"]
            assert (alone["latency"]["value"], alone["kernel"]) == (entry["latency"], entry["kernel"])
            assert (await client.read_resource(f"kernel://{entry['kernel']}")).contents[0].text
        assert {key: ranked[key] for key in ("kernel", "verdict")} == {
            "kernel": ranking[0]["kernel"], "verdict": "passed",
        }  # fmt: skip
        assert ranked["latency"]["value"] == ranking[0]["latency"]
        whole = await call(client, "simulate_kernel", problem=PROBLEM, sources=[wrong] * 8)
        assert whole["verdict"] == "wrong_result" and whole["ranking"][0]["sources"] == list(range(8))


@pytest.mark.anyio
async def test_eight_failures_stay_short(home: Home) -> None:
    async with connected(home) as client:
        sources = [EMPTY % f"{'nonsense' * 40}{n};" for n in range(8)]
        assert len((await call(client, "simulate_kernel", problem=PROBLEM, sources=sources))["ranking"]) == 8


@pytest.mark.anyio
async def test_wrong_use_of_sources_is_told(home: Home) -> None:
    async with connected(home) as client:
        for arguments in ({}, {"source": "x", "sources": ["x"]}):
            assert "exactly one" in await refusal(client, "simulate_kernel", problem=PROBLEM, **arguments)
        assert "sources" in await refusal(client, "simulate_kernel", problem=PROBLEM, sources=[])
        assert "sources" in await refusal(client, "simulate_kernel", problem=PROBLEM, sources=["x"] * 9)
        assert "sources[1]: the source is empty" in await refusal(
            client, "simulate_kernel", problem=PROBLEM, sources=["x", " "]
        )
        assert "did you mean" in await refusal(client, "simulate_kernel", problem="gemmini/gem-64x64x64", sources=["x"])


@pytest.mark.anyio
async def test_what_one_call_has_no_time_for_is_said_and_not_judged(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, _ = kernels_of(home)
    await evaluate(PROBLEM, slow, home=home)  # so that it is answered at once
    monkeypatch.setattr(ranking, "HOST_PATIENCE_S", 0.6)
    async with connected(home) as client:
        big = {"problem": "gemmini/gemm-1024x1024x1024"}
        assert "none of the 2 kernels" in await refusal(
            client, "simulate_kernel", **big, sources=[ENDLESS, ENDLESS + " "]
        )
    monkeypatch.setattr(ranking, "HOST_PATIENCE_S", 2.0)
    async with connected(home) as client:
        endless = [EMPTY % f"for (volatile long i = {n}; i < 1L << 60; i++) ;" for n in range(5)]
        ranked = await call(client, "simulate_kernel", problem=PROBLEM, sources=[slow, *endless])
        assert ranked["verdict"] == "passed" and ranked["ranking"][0]["sources"] == [0]
        assert {entry["verdict"] for entry in ranked["ranking"][1:]} <= {None, "timed_out", "crashed"}


@pytest.mark.anyio
async def test_a_difference_is_accounted_for_by_cause(home: Home) -> None:
    slow, fast = kernels_of(home)
    async with connected(home) as client:
        found = await call(client, "compare_kernels", problem=PROBLEM, a=slow, b=fast)
        latencies = found["a"]["latency"]["value"], found["b"]["latency"]["value"]
        assert found["faster"] == "b" and found["difference"] == latencies[1] - latencies[0] < 0
        assert found["ratio"] == pytest.approx(latencies[0] / latencies[1], rel=1e-4)
        total = sum(cause["difference"] for cause in found["causes"]) + found["unaccounted"]
        assert total == found["difference"] and abs(found["unaccounted"]) <= 2
        sizes = [abs(cause["difference"]) for cause in found["causes"]]
        assert sizes == sorted(sizes, reverse=True)
        first = found["causes"][0]
        assert first["cause"] == "wait_load" and first["cause"] in found["summary"]
        evidence = {change["name"]: change for change in first["evidence"]}
        assert evidence["mvin"]["a"] > evidence["mvin"]["b"]
        profiles = []
        for source in (slow, fast):
            result = await client.call_tool("profile_kernel", {"problem": PROBLEM, "source": source})
            profiles.append(result.structured_content["profile"])
        stalls = [{stall["cause"]: stall["cycles"] for stall in profile["stalls"]} for profile in profiles]
        for cause in found["causes"]:
            if cause["cause"] != "array_busy":
                assert [cause["a"], cause["b"]] == [stall.get(cause["cause"], 0) for stall in stalls]
        moved = {change["name"]: (change["a"], change["b"]) for change in found["traffic"]}
        traffic = [{entry["tensor"]: entry["bytes_moved"] for entry in profile["traffic"]} for profile in profiles]
        assert moved == {name: (traffic[0][name], traffic[1][name]) for name in moved} and moved

        mirrored = await call(client, "compare_kernels", problem=PROBLEM, a=fast, b=slow)
        assert mirrored["faster"] == "a" and mirrored["difference"] == -found["difference"]
        digests = {side: found[side]["kernel"] for side in "ab"}
        await call(client, "simulate_kernel", problem=PROBLEM, sources=[slow, fast])
        assert await call(client, "compare_kernels", problem=PROBLEM, **digests) == found
        digests["b"] = f"kernel://{digests['b']}"
        assert await call(client, "compare_kernels", problem=PROBLEM, **digests) == found


@pytest.mark.anyio
async def test_equal_and_failing_kernels_are_said_to_be(home: Home) -> None:
    slow, _ = kernels_of(home)
    async with connected(home) as client:
        same = await call(client, "compare_kernels", problem=PROBLEM, a=slow, b=slow + "// the same")
        assert same["faster"] is None and same["ratio"] == 1 and same["causes"] == [] and "same" in same["summary"]
        failed = await call(client, "compare_kernels", problem=PROBLEM, a=slow, b=EMPTY % "")
        assert failed["b"]["verdict"] == "wrong_result" and failed["b"]["message"] and failed["causes"] == []
        assert failed["difference"] is None and "b does not pass" in failed["summary"]
        assert "digest" in await refusal(client, "compare_kernels", problem=PROBLEM, a=slow, b="0123456789abcdef")
        assert "unknown run" in await refusal(client, "compare_kernels", problem=PROBLEM, a=slow, b="kernel://r/best")
        assert "gemsim" in await refusal(client, "compare_kernels", problem=PROBLEM, a=slow, b=slow, engine="fpga")


@pytest.mark.anyio
async def test_a_cancelled_call_leaves_no_simulator(home: Home, simulating: Callable[[Path], bool]) -> None:
    slow, _ = kernels_of(home)
    endless = [EMPTY % f"for (volatile long i = {n}; i < 1L << 60; i++) ;" for n in range(4)]
    async with connected(home) as client:
        await call(client, "simulate_kernel", problem=PROBLEM, source=slow)  # the simulator is built now
        arguments = {"problem": PROBLEM, "sources": endless, "timeout_s": 600}
        with anyio.fail_after(120):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "simulate_kernel", arguments)
                while not simulating(home.path):  # noqa: ASYNC110 - nothing tells when a process of another one starts
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            while simulating(home.path):  # noqa: ASYNC110 - nothing tells when a process of another one ends
                await anyio.sleep(0.05)
        assert (await call(client, "simulate_kernel", problem=PROBLEM, source=slow))["cached"]


@pytest.mark.anyio
async def test_both_work_over_stdio(home: Home) -> None:
    slow, fast = kernels_of(home)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "autocomp_mcp", "serve"], env=env | {"AUTOCOMP_HOME": str(home.path)}
    )
    async with Client(server, mode="legacy") as client:
        ranked = await call(client, "simulate_kernel", problem=PROBLEM, sources=[slow, fast])
        assert [entry["sources"] for entry in ranked["ranking"]] == [[1], [0]]
        assert (await call(client, "compare_kernels", problem=PROBLEM, a=slow, b=fast))["faster"] == "b"
