"""Every tool driven by real clients: a subprocess over stdio, and Streamable HTTP on loopback."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

PROBLEM = "gemmini/gemm-32x32x32"
TOOLS = {
    "list_targets", "list_problems", "get_problem", "list_optimizations", "get_optimization", "compile_kernel",
    "simulate_kernel", "profile_kernel", "compare_kernels", "start_search", "get_search", "cancel_search",
}  # fmt: skip
EMPTY = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { %s }\n'
SERVE = [sys.executable, "-m", "autocomp_mcp", "serve"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return env | {"AUTOCOMP_HOME": str(make_home(tmp_path_factory.mktemp("transports") / "home"))}


@asynccontextmanager
async def stdio(environment: dict[str, str], mode: str) -> AsyncIterator[Client]:
    parameters = StdioServerParameters(command=SERVE[0], args=SERVE[1:], env=environment)
    async with Client(parameters, mode=mode) as client:
        yield client


@asynccontextmanager
async def http(environment: dict[str, str], mode: str) -> AsyncIterator[Client]:
    process = subprocess.Popen(
        [*SERVE, "--http", "127.0.0.1:0"], env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stderr
        url = None
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                url = found[0]
                break
        assert url, "the server did not say where it listens"
        async with Client(url, mode=mode) as client:
            yield client
    finally:
        process.terminate()
        process.communicate()


async def call(client: Client, tool: str, **arguments: object) -> dict:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert len(json.dumps(result.structured_content)) <= 40 * 1024
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return result.content[0].text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("transport", "mode"),
    [
        (stdio, "auto"),
        pytest.param(http, "legacy", marks=pytest.mark.slow),
        pytest.param(stdio, "legacy", marks=pytest.mark.slow),
        pytest.param(http, "auto", marks=pytest.mark.slow),
    ],
)
async def test_every_tool_works(
    transport: Callable[..., Awaitable[Client]], mode: str, environment: dict[str, str]
) -> None:
    async with transport(environment, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == TOOLS
        assert all(tool.output_schema and tool.annotations and tool.description for tool in tools.values())
        targets = await call(client, "list_targets")
        assert targets["targets"][0]["name"] == "gemmini"
        listed = await call(client, "list_problems")
        assert listed["families"]
        assert "autocomp-gemm" in listed["suites"]
        published = (await call(client, "list_problems", suite="autocomp-gemm"))["problems"]
        assert len(published) == 6
        assert {problem["family"] for problem in published} == {"gemm"}
        unknown = await client.call_tool("list_problems", {"suite": "autocomp-gem"})
        assert unknown.is_error
        assert "autocomp-gemm" in unknown.content[0].text
        detail = await call(client, "get_problem", problem=PROBLEM)
        baseline = detail["baseline"]
        assert (await call(client, "compile_kernel", problem=PROBLEM, source=baseline))["ok"]
        evaluation = await call(client, "simulate_kernel", problem=PROBLEM, source=baseline)
        assert evaluation["verdict"] == "passed" and evaluation["source"] == "estimated"
        profile = (await call(client, "profile_kernel", problem=PROBLEM, source=baseline))["profile"]
        bottlenecks = [b["id"] for b in profile["bottlenecks"]]
        options = await call(
            client, "list_optimizations", problem=PROBLEM, bottlenecks=bottlenecks[:1], source=baseline
        )
        option = next(o for o in options["options"] if o["rewrites"])["id"]
        ways = await call(client, "get_optimization", option=option, problem=PROBLEM, source=baseline)
        variant = ways["rewrites"][0]["name"]
        applied = await call(
            client, "get_optimization", option=option, problem=PROBLEM, source=baseline, variant=variant
        )
        changed = await call(client, "simulate_kernel", problem=PROBLEM, source=applied["source"])
        assert changed["verdict"] == "passed" and changed["kernel"] != evaluation["kernel"]
        compared = await call(client, "compare_kernels", problem=PROBLEM, a=baseline, b=applied["source"])
        assert compared["b"]["kernel"] == changed["kernel"]
        guide = await client.read_resource("reference://gemmini/guide")
        assert "mvin" in guide.contents[0].text
        started = await call(
            client, "start_search", problem=PROBLEM, model="offline", settings={"iterations": 50, "plans": 4}
        )
        run = started["run_id"]
        with anyio.fail_after(120):
            while not (status := await call(client, "get_search", run=run, wait_s=10))["best"]:
                pass
        assert status["baseline"]["latency"] >= status["best"]["latency"]
        stopped = await call(client, "cancel_search", run=run)
        assert stopped["state"] == "cancelled" and stopped["best_source"]


@pytest.mark.anyio
async def test_bad_input_gets_a_clear_typed_answer(environment: dict[str, str]) -> None:
    async with stdio(environment, "auto") as client:
        assert "did you mean" in await refusal(client, "get_problem", problem="gemmini/gem-32x32x32")
        assert "empty" in await refusal(client, "simulate_kernel", problem=PROBLEM, source="  ")
        assert "524288" in await refusal(client, "simulate_kernel", problem=PROBLEM, source="x" * 2**20)
        assert "gemsim" in await refusal(client, "simulate_kernel", problem=PROBLEM, source="x", engine="fpga")
        assert "nosuch" in await refusal(client, "get_optimization", option="nosuch", target="gemmini")
        assert "nosuch" in await refusal(client, "get_search", run="nosuch")
        assert "iterations" in await refusal(client, "start_search", problem=PROBLEM, settings={"iteration": 3})
        for body, verdicts in {
            "syntax error": {"compile_error"},
            "": {"wrong_result"},
            "for (;;) ;": {"timed_out", "crashed"},
            "mvin(A, 0, 80, 16);": {"crashed"},
        }.items():
            evaluation = await call(client, "simulate_kernel", problem=PROBLEM, source=EMPTY % body)
            assert evaluation["verdict"] in verdicts, (body, evaluation)
            assert evaluation["latency"] is None and evaluation["message"]


@pytest.mark.anyio
async def test_the_server_answers_while_a_slow_kernel_runs(environment: dict[str, str]) -> None:
    async with stdio(environment, "auto") as client, anyio.create_task_group() as tasks:
        finished: list[str] = []

        async def slow() -> None:
            big = "gemmini/gemm-512x512x512"
            source = (await call(client, "get_problem", problem=big))["baseline"]
            await call(client, "simulate_kernel", problem=big, source=source)
            finished.append("simulate")

        tasks.start_soon(slow)
        for _ in range(3):
            await client.list_tools()
        finished.append("list")
        tasks.start_soon(anyio.sleep, 0)
    assert finished == ["list", "simulate"]


def test_stdout_carries_the_protocol_only(environment: dict[str, str], tmp_path: Path) -> None:
    request = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
    }  # fmt: skip
    tool = {
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "simulate_kernel", "arguments": {"problem": PROBLEM, "source": EMPTY % ""}},
    }  # fmt: skip
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    process = subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdin and process.stdout
    lines = []
    for message in (request, ready, tool):
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        if "id" in message:
            lines.append(json.loads(process.stdout.readline()))
    process.stdin.close()
    lines += [json.loads(line) for line in process.stdout]
    process.wait()
    assert [line["id"] for line in lines if "id" in line] == [1, 2]


@pytest.mark.parametrize("address", ["0.0.0.0:8000", "192.0.2.1:80", "nonsense", "127.0.0.1:99999"])
def test_http_listens_on_this_machine_only(address: str, environment: dict[str, str]) -> None:
    result = subprocess.run([*SERVE, "--http", address], capture_output=True, text=True, env=environment)
    assert result.returncode == 2 and address.rpartition(":")[0] in result.stderr
