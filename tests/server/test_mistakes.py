"""Mistakes that MCP servers make, each provoked over a real transport; CONTRIBUTING.md lists them with their tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import cross_compiler
import pytest
from mcp import Client, StdioServerParameters
from server_process import ENDLESS, INITIALIZE, LARGE, Serving, clean_environment

MakeHome = Callable[[Path], Path]
Simulating = Callable[[Path], bool]
# A stand-in for a compiler tells what it saw in files of its own, which the sandbox would not let it write.
UNCONFINED = {"AUTOCOMP_SANDBOX": "limits"}
PROBLEM = "gemmini/gemm-32x32x32"
EMPTY = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { }\n'
MAX_BYTES = 40 * 1024


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def over_http(home: Path, **env: str) -> AsyncIterator[Client]:
    with Serving(home, **env) as serving:
        async with Client(serving.url) as client:
            yield client


@asynccontextmanager
async def over_stdio(home: Path, **env: str) -> AsyncIterator[Client]:
    arguments = ["-m", "autocomp_mcp", "serve"]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=clean_environment(home, **env))
    async with Client(parameters) as client:
        yield client


TRANSPORTS = pytest.mark.parametrize("transport", [over_stdio, pytest.param(over_http, marks=pytest.mark.slow)])


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(90):
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.05)


def path_with(tools: Path) -> str:
    return f"{tools}{os.pathsep}{os.environ['PATH']}"


# ---------------------------------------------------------------- stdout, stdin


def converse(environment: dict[str, str], calls: list[tuple[str, dict[str, Any]]]) -> dict[int, dict[str, Any]]:
    """All calls at once on the stdin of a server; what it wrote to stdout, every line of it, by id."""
    messages = [INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    for number, (method, params) in enumerate(calls, 2):
        messages.append({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    process = subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", "serve"], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin and process.stdout
    process.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
    process.stdin.flush()
    answers: dict[int, dict[str, Any]] = {}
    for line in process.stdout:
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        if "id" in message:
            answers[message["id"]] = message
        if len(answers) == len(calls) + 1:
            break
    process.stdin.close()
    assert all(json.loads(line) for line in process.stdout)
    assert process.wait(60) == 0
    process.stdout.close()
    return answers


def tool(name: str, **arguments: object) -> tuple[str, dict[str, Any]]:
    return "tools/call", {"name": name, "arguments": arguments}


def test_nothing_but_the_protocol_is_on_stdout(tmp_path: Path, make_home: MakeHome) -> None:
    one = {"problem": PROBLEM, "source": EMPTY}
    calls = [
        ("tools/list", {}), ("resources/list", {}), ("prompts/list", {}),
        tool("list_targets"), tool("list_problems"), tool("get_problem", problem=PROBLEM), tool("list_optimizations"),
        tool("get_optimization", option="double-buffering"), tool("compile_kernel", **one),
        tool("simulate_kernel", **one), tool("profile_kernel", **one),
        tool("compare_kernels", problem=PROBLEM, a=EMPTY, b=EMPTY + "\n"),
        tool("start_search", problem=PROBLEM, model="offline", settings={"iterations": 1}),
        tool("get_search", run="none"), tool("cancel_search", run="none"),
        ("resources/read", {"uri": "reference://gemmini/guide"}), ("nonsense", {}),
    ]  # fmt: skip
    answers = converse(clean_environment(make_home(tmp_path / "home")), calls)
    assert sorted(answers) == list(range(1, len(calls) + 2))


def test_no_child_reads_what_the_client_sends(tmp_path: Path) -> None:
    tools = cross_compiler.install(tmp_path, cross_compiler.READS_STDIN)
    environment = clean_environment(tmp_path / "home", PATH=path_with(tools), **UNCONFINED)
    calls = [tool("compile_kernel", problem=PROBLEM, source=EMPTY), *[("tools/list", {})] * 5]
    answers = converse(environment, calls)
    assert sorted(answers) == [1, 2, 3, 4, 5, 6, 7]
    assert (tmp_path / "stdin").read_bytes() == b""


# ---------------------------------------------------------------- a free event loop, no orphans


@pytest.mark.anyio
@TRANSPORTS
async def test_while_a_tool_is_slow_others_are_answered_and_cancelled_it_leaves_nothing(
    transport: Callable, tmp_path: Path, make_home: MakeHome, simulating: Simulating
) -> None:
    home = make_home(tmp_path / "home")
    endless = {"problem": LARGE, "source": ENDLESS}
    other = ENDLESS.replace("for (;;)", "while (1)")
    async with transport(home) as client:
        for name, arguments in (
            ("simulate_kernel", endless),
            ("simulate_kernel", {"problem": LARGE, "sources": [ENDLESS, other]}),
            ("profile_kernel", endless),
            ("compare_kernels", {"problem": LARGE, "a": ENDLESS, "b": other}),
        ):
            await slow(client, name, arguments, lambda: simulating(home))
            await until(lambda: not simulating(home))
        search = {"problem": PROBLEM, "model": "offline", "settings": {"iterations": 500}}
        run = (await client.call_tool("start_search", search)).structured_content["run_id"]
        await slow(client, "get_search", {"run": run, "wait_s": 45}, lambda: True)
        await client.call_tool("cancel_search", {"run": run})
        await until(lambda: not simulating(home))


@pytest.mark.anyio
@TRANSPORTS
async def test_a_compiler_that_hangs_blocks_nobody_and_is_stopped(transport: Callable, tmp_path: Path) -> None:
    tools = cross_compiler.install(tmp_path, cross_compiler.SLEEPS)
    started = tmp_path / "started"
    async with transport(tmp_path / "home", PATH=path_with(tools), **UNCONFINED) as client:
        await slow(client, "compile_kernel", {"problem": PROBLEM, "source": EMPTY}, started.exists)
        pids = [int(pid) for pid in started.read_text().split()]
        await until(lambda: not any(map(alive, pids)))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def slow(client: Client, name: str, arguments: dict[str, Any], works: Callable[[], bool]) -> None:
    """Call it, see that others are answered while it works, and give it up."""
    ended = False

    async def call() -> None:
        nonlocal ended
        await client.call_tool(name, arguments)
        ended = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await until(works)
        for _ in range(3):
            assert (await client.list_tools()).tools
        assert not (await client.call_tool("list_problems", {})).is_error
        assert not ended or name == "get_search", f"{name} was not slow"  # that one answers early when there is news
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@TRANSPORTS
async def test_after_a_timeout_nothing_is_left(
    transport: Callable, tmp_path: Path, make_home: MakeHome, simulating: Simulating
) -> None:
    home = make_home(tmp_path / "home")
    async with transport(home) as client:
        arguments = {"problem": LARGE, "source": ENDLESS, "timeout_s": 1}
        result = await client.call_tool("simulate_kernel", arguments)
        assert result.structured_content["verdict"] in ("timed_out", "crashed")
        assert not simulating(home)


CALLER = """
import sys, anyio
from mcp import Client
async def main(url, mode, problem, source):
    async with Client(url, mode=mode) as client:
        await client.call_tool("simulate_kernel", {"problem": problem, "source": source, "timeout_s": 600})
anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.slow)])
async def test_after_a_client_is_gone_nothing_is_left(
    mode: str, tmp_path: Path, make_home: MakeHome, simulating: Simulating
) -> None:
    home = make_home(tmp_path / "home")
    with Serving(home) as serving:
        client = subprocess.Popen([sys.executable, "-c", CALLER, serving.url, mode, LARGE, ENDLESS])
        await until(lambda: simulating(home))
        client.send_signal(signal.SIGKILL)
        client.wait()
        await until(lambda: not simulating(home))


# ---------------------------------------------------------------- giant output


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_compiler_that_writes_megabytes_fills_no_answer(tmp_path: Path) -> None:
    tools = cross_compiler.install(tmp_path, cross_compiler.TALKS)
    talk = await anyio.run_process([str(tools / cross_compiler.NAME)], check=False)
    assert len(talk.stderr) > 10_000_000
    async with over_stdio(tmp_path / "home", PATH=path_with(tools), **UNCONFINED) as client:
        one = {"problem": PROBLEM, "source": EMPTY}
        both = {"problem": PROBLEM, "a": EMPTY, "b": EMPTY + "int x;\n"}
        variants = {"problem": PROBLEM, "sources": [EMPTY + f"int v{n};\n" for n in range(8)]}
        asked = [
            partial(client.call_tool, "compile_kernel", one), partial(client.call_tool, "simulate_kernel", one),
            partial(client.call_tool, "profile_kernel", one), partial(client.call_tool, "compare_kernels", both),
            partial(client.call_tool, "simulate_kernel", variants),
            partial(client.call_tool, "list_optimizations", {"problem": PROBLEM, "source": EMPTY}),
            partial(client.call_tool, "start_search", {"problem": PROBLEM, "model": "offline"}),
        ]  # fmt: skip
        for ask in asked:
            result = await ask()
            size = len(json.dumps(result.structured_content)) + sum(len(block.text) for block in result.content)
            assert size <= MAX_BYTES, (ask.args[0], size)
