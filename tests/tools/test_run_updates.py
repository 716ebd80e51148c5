"""Clients that subscribed to run://ID hear when the run changes, wherever it is driven; who waits sees progress."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import ResourceUpdatedNotification
from server_process import Serving, clean_environment

MakeHome = Callable[[Path], Path]
SEARCH = {"problem": "gemmini/gemm-64x64x64", "model": "offline", "settings": {"iterations": 400}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def over_http(home: Path, **client: object) -> AsyncIterator[Client]:
    with Serving(home) as serving:
        async with Client(serving.url, **client) as connected:
            yield connected


@asynccontextmanager
async def over_stdio(home: Path, **client: object) -> AsyncIterator[Client]:
    arguments = ["-m", "autocomp_mcp", "serve"]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=clean_environment(home))
    async with Client(parameters, **client) as connected:
        yield connected


class Ear:
    """Collects addresses of resources that changed, for clients of the older protocols."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __call__(self, message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.heard.append(str(message.params.uri))


async def started(client: Client) -> str:
    return (await client.call_tool("start_search", SEARCH)).structured_content["run_id"]


@pytest.mark.anyio
@pytest.mark.parametrize("transport", [pytest.param(over_http, marks=pytest.mark.slow), over_stdio])
async def test_a_client_of_today_listens(transport: Callable, tmp_path: Path, make_home: MakeHome) -> None:
    async with transport(make_home(tmp_path / "home"), mode="auto") as client:
        run = await started(client)
        other = await started(client)
        with anyio.fail_after(60):
            async with client.listen(resource_subscriptions=[f"run://{run}"]) as events:
                event = await anext(aiter(events))
                assert event.uri == f"run://{run}"
                await client.call_tool("cancel_search", {"run": run})
                while '"cancelled"' not in (await client.read_resource(f"run://{run}")).contents[0].text:
                    event = await anext(aiter(events))
                    assert event.uri == f"run://{run}", "the other run's changes are not ours"
        await client.call_tool("cancel_search", {"run": other})


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")  # the client's: such a request is what we test
@pytest.mark.parametrize("transport", [over_http, pytest.param(over_stdio, marks=pytest.mark.slow)])
async def test_a_client_of_an_older_protocol_subscribes(
    transport: Callable, tmp_path: Path, make_home: MakeHome
) -> None:
    ear = Ear()
    async with transport(make_home(tmp_path / "home"), mode="legacy", message_handler=ear) as client:
        assert client.server_capabilities.resources.subscribe
        run = await started(client)
        other = await started(client)
        await client.session.subscribe_resource(f"run://{run}")
        await heard(ear, 1)
        await client.call_tool("cancel_search", {"run": other})
        before = len(ear.heard)
        await client.call_tool("cancel_search", {"run": run})
        await heard(ear, before + 1)
        assert set(ear.heard) == {f"run://{run}"}
        with pytest.raises(MCPError, match="never changes"):
            await client.session.subscribe_resource("menu://gemmini")
        await client.session.unsubscribe_resource(f"run://{run}")


async def heard(ear: Ear, count: int) -> None:
    with anyio.fail_after(60):
        while len(ear.heard) < count:  # noqa: ASYNC110
            await anyio.sleep(0.05)


@pytest.mark.anyio
async def test_a_run_of_the_command_line_that_is_killed_is_told(tmp_path: Path, make_home: MakeHome) -> None:
    home = make_home(tmp_path / "home")
    command = [sys.executable, "-m", "autocomp_mcp", "optimize", SEARCH["problem"], "--model", "offline", "--json"]
    async with over_stdio(home) as client:
        process = subprocess.Popen(
            command, env=clean_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            with anyio.fail_after(90):
                run = None
                while run is None:
                    run = next((path.name for path in (home / "runs").glob("*")), None)
                    await anyio.sleep(0.1)
                async with client.listen(resource_subscriptions=[f"run://{run}"]) as events:
                    await anext(aiter(events))
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    while '"interrupted"' not in (await client.read_resource(f"run://{run}")).contents[0].text:
                        await anext(aiter(events))
        finally:
            process.kill()
            process.wait()


@pytest.mark.anyio
@pytest.mark.parametrize("mode", [pytest.param("auto", marks=pytest.mark.slow), "legacy"])
@pytest.mark.parametrize("transport", [pytest.param(over_http, marks=pytest.mark.slow), over_stdio])
async def test_progress_while_waiting(transport: Callable, mode: str, tmp_path: Path, make_home: MakeHome) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with transport(make_home(tmp_path / "home"), mode=mode) as client:
        run = await started(client)
        with anyio.fail_after(60):
            while len(told) < 2:
                arguments = {"run": run, "wait_s": 10}
                before = len(told)
                await client.call_tool("get_search", arguments, progress_callback=note)
                ticks = [progress for progress, _, _ in told[before:]]
                assert ticks == sorted(set(ticks)), "progress must increase"
        assert all(total == 10 and message and "iteration" in message for _, total, message in told)
        await client.call_tool("cancel_search", {"run": run})
