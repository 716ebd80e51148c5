"""Which requests over HTTP count as work, and how they are refused: tools, resources and prompts alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from autocomp_mcp.server.serving.calls import STOPPING, Calls
from mcp import MCPError

PROBLEM = "gemmini/gemm-64x64x64"
OWN = "gemmini/custom-mine-0123456789ab"


def tool(name: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return "tools/call", {"name": name, "arguments": arguments}


def resource(uri: str) -> tuple[str, dict[str, Any]]:
    return "resources/read", {"uri": uri}


WORK = [
    tool("simulate_kernel", problem=PROBLEM),
    tool("get_problem", own={"name": "mine"}),
    tool("get_problem", problem="./mine"),
    tool("get_problem", problem=OWN),
    tool("list_optimizations", problem="~/mine"),
    resource("timeline://0123456789abcdef"),
    resource("problem://.%2Fmine"),
    resource(f"problem://{OWN}?offset=9"),
    ("prompts/get", {"name": "optimize_kernel", "arguments": {"problem": " /mine"}}),
]
CHEAP = [
    tool("get_problem", problem=PROBLEM),
    tool("get_search", run="x", wait_s=45),
    tool("list_problems"),
    resource(f"problem://{PROBLEM}"),
    resource("run://x"),
    ("prompts/get", {"name": "optimize_kernel", "arguments": {"problem": PROBLEM}}),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def request(method: str, params: dict[str, Any]) -> Any:
    scope = {"client": ("192.0.2.1", 1234)}
    return SimpleNamespace(method=method, params=params, request=SimpleNamespace(scope=scope))


async def told(calls: Calls, ctx: Any, answered: anyio.Event) -> str:
    """What the client hears; the handler answers "done" once `answered` is set."""

    async def handler(_: Any) -> str:
        await answered.wait()
        return "done"

    try:
        answer: Any = await calls(ctx, handler)
    except MCPError as error:
        assert ctx.method != "tools/call"
        return error.error.message
    return answer if isinstance(answer, str) else answer.content[0].text


@pytest.mark.anyio
@pytest.mark.parametrize(("asked", "counts"), [(ask, True) for ask in WORK] + [(ask, False) for ask in CHEAP], ids=str)
async def test_what_counts_as_work_and_that_all_is_given_up(asked: tuple[str, dict[str, Any]], counts: bool) -> None:
    calls, heard, never = Calls(at_once=1), [], anyio.Event()
    ready = anyio.Event()
    ready.set()

    async def ask() -> None:
        heard.append(await told(calls, request(*asked), never))

    with anyio.fail_after(3):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            second = await told(calls, request(*asked), ready)
            assert second.startswith("environment: busy, retry after 2 s.") if counts else second == "done"
            calls.stop()
            await calls.ended()
    assert heard == [STOPPING]
    assert await told(calls, request(*asked), ready) == STOPPING
