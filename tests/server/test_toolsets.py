"""serve with a part of the tools: what is offered, what is refused, and that a search still has all it needs."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent import controller
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.menus.menu import UnknownNameError
from autocomp_mcp.server.app import build_server
from autocomp_mcp.server.serving.toolsets import CHANGING, TOOLS, TOOLSETS, NoToolLeftError, Selection
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.prompts import NEEDS
from mcp import Client, StdioServerParameters

PROBLEM = "gemmini/gemm-32x32x32"
SERVE = [sys.executable, "-m", "autocomp_mcp", "serve"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return env | {"AUTOCOMP_HOME": str(tmp_path / "home")}


async def offered(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


@asynccontextmanager
async def limited(folder: Path, *words: object) -> AsyncIterator[Client]:
    async with Client(build_server(Bench(Home(folder)), Selection(*words))) as client:
        yield client


@pytest.mark.anyio
async def test_the_sets_are_all_tools_and_what_changes_something_says_so(tmp_path: Path) -> None:
    async with limited(tmp_path) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert len(Selection.of(None, [], False).tools()) <= 12
        assert set(tools) == set(TOOLS) and len(TOOLS) == len(tools)
        assert {name for name, tool in tools.items() if not tool.annotations.read_only_hint} == CHANGING


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("toolsets", "exclude", "read_only", "expected"),
    [
        ("kernels", [], False, set(TOOLSETS["kernels"])),
        (
            " kernels , menu ", ["compile_kernel,get_optimization"], False,
            {"list_optimizations", "simulate_kernel", "profile_kernel", "compare_kernels"},
        ),
        ("hardware", [], False, {"run_kernel"}),
        (None, ["list_targets", "start_search"], False, set(TOOLS) - {"list_targets", "start_search", "run_kernel"}),
        ("search", [], True, {"get_search"}),
        (None, [], True, set(TOOLS) - CHANGING),
    ],
)  # fmt: skip
async def test_what_is_offered(
    toolsets: str | None, exclude: list[str], read_only: bool, expected: set[str], tmp_path: Path
) -> None:
    async with limited(tmp_path, *Selection.of(toolsets, exclude, read_only)) as client:
        assert await offered(client) == expected
        for name in set(TOOLS) - expected:
            assert (await client.call_tool(name, {"problem": PROBLEM})).is_error
            assert name not in (client.instructions or "")
        prompts = (await client.list_prompts()).prompts
        assert bool(prompts) == (expected >= NEEDS)
        assert (await client.read_resource("reference://gemmini")).contents[0].text


@pytest.mark.parametrize(
    "words", [("kernel", [], False), (None, ["simulate"], False), ("kernels,", ["simulat_kernel"], True)]
)
def test_unknown_names_are_refused_with_those_there_are(words: tuple[str | None, list[str], bool]) -> None:
    with pytest.raises(UnknownNameError, match=r"kernels|simulate_kernel"):
        Selection.of(*words).tools()


@pytest.mark.parametrize(
    "selection", [Selection(()), Selection(exclude=TOOLS), Selection(("search",), ("get_search",), True)]
)
def test_a_server_without_tools_is_refused(selection: Selection) -> None:
    with pytest.raises(NoToolLeftError):
        selection.tools()


@pytest.mark.anyio
async def test_a_search_calls_what_its_caller_may_not(make_home: Callable[[Path], Path], tmp_path: Path) -> None:
    async with limited(make_home(tmp_path / "home"), ("search",)) as client:
        arguments = {"problem": PROBLEM, "model": "offline", "settings": {"iterations": 1, "plans": 2}}
        run = (await client.call_tool("start_search", arguments)).structured_content["run_id"]
        with anyio.fail_after(120):
            while (status := (await client.call_tool("get_search", {"run": run, "wait_s": 20})).structured_content)[
                "state"
            ] == "running":
                pass
        assert status["state"] == "finished" and status["best"]


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_over_stdio(environment: dict[str, str], mode: str) -> None:
    args = [*SERVE[1:], "--toolsets", "kernels,search", "--exclude-tools", "compile_kernel", "--read-only"]
    async with Client(StdioServerParameters(command=SERVE[0], args=args, env=environment), mode=mode) as client:
        assert await offered(client) == {"simulate_kernel", "profile_kernel", "compare_kernels", "get_search"}
        assert (await client.call_tool("start_search", {"problem": PROBLEM})).is_error


@pytest.mark.anyio
async def test_over_http(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*SERVE, "--http", "127.0.0.1:0", "--read-only"],
        env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stderr
        found = next(filter(None, (re.search(r"http://\S+", line) for line in process.stderr)))
        async with Client(found[0]) as client:
            assert await offered(client) == set(TOOLS) - CHANGING
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("http", [[], ["--http", "127.0.0.1:0"]])
def test_the_command_refuses_unknown_names(environment: dict[str, str], http: list[str]) -> None:
    for words, hint in ((["--toolsets", "kernel"], "kernels"), (["--exclude-tools", "get_kernel"], "get_")):
        result = subprocess.run([*SERVE, *http, *words], capture_output=True, text=True, env=environment)
        assert result.returncode == 2 and hint in result.stderr and result.stdout == ""


def jobs_of(home: Path) -> int:
    with closing(sqlite3.connect(home / "autocomp.db")) as database:
        return database.execute("SELECT count(*) FROM jobs").fetchone()[0]


@pytest.mark.anyio
async def test_a_server_with_all_tools_stops_the_searches_that_it_drives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    async def endless(problem: str, settings: SearchSettings, **given: Any) -> None:
        journal, run_id = given["journal"], given["run_id"]
        journal.create(run_id, problem, "offline", settings.model_dump(mode="json"), "")
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(run_id)

    monkeypatch.setattr(controller, "search", endless)
    server = build_server(Bench(Home(tmp_path)))
    async with Client(server) as client:
        run = (await client.call_tool("start_search", {"problem": PROBLEM, "model": "offline"})).structured_content
        server.stop()
        with anyio.fail_after(5):
            while jobs_of(tmp_path):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert ended == [run["run_id"]]
