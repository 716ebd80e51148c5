"""Prompts as a host gets them: they name only what this server has, and refuse what cannot work."""

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import INVALID_PARAMS, PromptReference

PROBLEM = "gemmini/gemm-77x130x200"
KERNEL = "void solution(const int8_t *A, const int8_t *B, int8_t *C) { {{ not_ours }} }"
PROMPTS = ("optimize_kernel", "diagnose_kernel", "port_kernel")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[Client]:
    async with Client(build_server(Bench(Home(folder)))) as client:
        yield client


async def text_of(client: Client, name: str, **arguments: str) -> str:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    return message.content.text


@pytest.mark.anyio
async def test_prompts_name_only_tools_and_resources_that_there_are(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        listed = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert set(listed) == set(PROMPTS)
        tools = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        for name, prompt in listed.items():
            assert prompt.description and all(argument.description for argument in prompt.arguments)
            text = await text_of(client, name, problem=PROBLEM, source=KERNEL)
            assert len(text.encode()) < 6 * 1024 and KERNEL in text and PROBLEM in text
            called = re.findall(r"`(\w+)\(([^`]*)\)`", text)
            assert {"simulate_kernel", "profile_kernel", "list_optimizations", "get_optimization"} <= set(
                re.findall(r"\w+_\w+", text)
            )
            for tool, arguments in called:
                named = [word.partition("=")[0].strip() for word in arguments.split(",")]
                assert set(named) <= set(tools[tool]), tool
            for address in re.findall(r"reference://[\w/-]+", text):
                assert (await client.read_resource(address)).contents[0].text


@pytest.mark.anyio
async def test_where_the_kernel_comes_from(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        assert "Start from the baseline" in await text_of(client, "optimize_kernel", problem=PROBLEM)
        assert "Start from the baseline" in await text_of(client, "optimize_kernel", problem=PROBLEM, source=" ")
        for place in ("kernels/mine.c", "kernel://0123456789abcdef"):
            for name in PROMPTS:
                text = await text_of(client, name, problem=PROBLEM, source=place)
                assert f"is in `{place}`" in text and "```" not in text
                assert "Start from the baseline" not in text


@pytest.mark.anyio
async def test_arguments_are_checked_and_completed(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        for name, arguments, said in (
            ("optimize_kernel", {"problem": "gemmini/gem-77x130x200"}, "did you mean 'gemmini/gemm-77x130x200'"),
            ("optimize_kernel", {}, "problem"),
            ("diagnose_kernel", {"problem": PROBLEM}, "source"),
            ("diagnose_kernel", {"problem": PROBLEM, "source": "  "}, "empty"),
            ("port_kernel", {"problem": PROBLEM, "source": "int x;\n" * 100_000}, "524288"),
        ):
            with pytest.raises(MCPError) as caught:
                await client.get_prompt(name, arguments)
            assert said in caught.value.error.message
        for name in PROMPTS:
            ref = PromptReference(type="ref/prompt", name=name)
            found = (await client.complete(ref, {"name": "problem", "value": "gemmini/gemm-77"})).completion.values
            assert found[0].startswith("gemmini/gemm-77") and PROBLEM in found


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_prompts_over_stdio(tmp_path: Path, mode: str) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    env["AUTOCOMP_HOME"] = str(tmp_path)
    server = StdioServerParameters(command=sys.executable, args=["-m", "autocomp_mcp", "serve"], env=env)
    async with Client(server, mode=mode) as client:
        assert PROBLEM in await text_of(client, "port_kernel", problem=PROBLEM, source="a @ b")
        with pytest.raises(MCPError, match="did you mean"):
            await client.get_prompt("optimize_kernel", {"problem": "gemmini/gem-77x130x200"})
        with pytest.raises(MCPError, match=r"unknown prompt 'tune_kernel'; known: .*optimize_kernel") as caught:
            await client.get_prompt("tune_kernel", {})
        assert caught.value.error.code == INVALID_PARAMS
