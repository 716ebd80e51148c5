"""Several server processes of one home, as behind a balancer: what was begun at one goes on at another."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from server_process import ENDLESS, LARGE, Serving
from test_auth import refused

MakeHome = Callable[[Path], Path]
SEARCH = {"problem": "gemmini/gemm-64x64x64", "model": "offline", "settings": {"iterations": 400}}
KEY = "k" * 40


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Alternating(httpx2.AsyncBaseTransport):
    """A balancer without memory: each request goes to the next server."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._inner = httpx2.AsyncHTTPTransport()
        self.sent: list[int] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        port = next(self._ports)
        self.sent.append(port)
        request.url = request.url.copy_with(port=port)
        request.headers["Host"] = f"127.0.0.1:{port}"
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def balanced(servers: list[Serving], mode: str) -> AsyncIterator[tuple[Client, Alternating]]:
    transport = Alternating([serving.port for serving in servers])
    async with (
        httpx2.AsyncClient(transport=transport, timeout=60) as http,
        Client(streamable_http_client(servers[0].url, http_client=http), mode=mode) as client,
    ):
        yield client, transport


async def call(client: Client, tool: str, **arguments: object) -> dict:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.slow)])
async def test_a_client_that_meets_another_server_each_time(mode: str, tmp_path: Path, make_home: MakeHome) -> None:
    home = make_home(tmp_path / "home")
    with Serving(home, AUTOCOMP_STATE_KEY=KEY) as first, Serving(home, AUTOCOMP_STATE_KEY=KEY) as second:
        async with balanced([first, second], mode) as (client, transport):
            assert (await client.list_tools()).tools
            baseline = (await call(client, "get_problem", problem=SEARCH["problem"]))["baseline"]
            judged = [await call(client, "simulate_kernel", problem=SEARCH["problem"], source=baseline) for _ in "ab"]
            assert [result.pop("cached") for result in judged] == [False, True]
            assert judged[0] == judged[1] and judged[0]["verdict"] == "passed"
            run = (await call(client, "start_search", **SEARCH))["run_id"]
            for _ in range(4):
                assert (await call(client, "get_search", run=run, wait_s=1))["state"] == "running"
            assert run in (await client.read_resource(f"run://{run}")).contents[0].text
            assert len(set(transport.sent)) == 2


@pytest.fixture(params=["one home", pytest.param("PostgreSQL", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest, tmp_path: Path, make_home: MakeHome) -> tuple[Path, Path, dict[str, str]]:
    """Homes of two servers that share their runs, and their environment."""
    home = make_home(tmp_path / "home")
    if request.param == "one home":
        return home, home, {}
    address = request.getfixturevalue("postgresql").new_database()
    return home, make_home(tmp_path / "another"), {"AUTOCOMP_DB": address}


@pytest.mark.anyio
async def test_a_search_is_stopped_through_another_server(
    shared: tuple[Path, Path, dict[str, str]], simulating: Callable[[Path], bool]
) -> None:
    home, another, environment = shared
    with Serving(home, **environment) as first, Serving(another, **environment) as second:
        async with Client(first.url) as here, Client(second.url) as there:
            run = (await call(here, "start_search", **SEARCH))["run_id"]
            stopped = await call(there, "cancel_search", run=run)
            assert stopped["state"] == "cancelled"
            assert (await call(here, "get_search", run=run))["state"] == "cancelled"
            assert not simulating(home)


@pytest.mark.anyio
async def test_a_callers_searches_are_counted_at_all_servers(shared: tuple[Path, Path, dict[str, str]]) -> None:
    home, another, environment = shared
    limit = ["--max-searches", "1"]
    with Serving(home, *limit, **environment) as first, Serving(another, *limit, **environment) as second:
        async with Client(first.url) as here, Client(second.url) as there:
            run = (await call(here, "start_search", **SEARCH))["run_id"]
            refusal = await there.call_tool("start_search", SEARCH)
            assert refusal.is_error and "--max-searches" in refusal.content[0].text
            first.process.kill()
            first.process.wait()
            assert (await call(there, "get_search", run=run))["state"] == "interrupted"
            again = (await call(there, "start_search", **SEARCH))["run_id"]
            assert (await call(there, "cancel_search", run=again))["state"] == "cancelled"


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def both_of(pid: int, without: int | None = None) -> list[int]:
    with anyio.fail_after(60):
        while len(found := children(pid)) < 2 or without in found:  # noqa: ASYNC110
            await anyio.sleep(0.05)
    return found


@pytest.mark.anyio
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
async def test_workers_of_one_command(tmp_path: Path, make_home: MakeHome, simulating: Callable[[Path], bool]) -> None:
    home = make_home(tmp_path / "home")
    with Serving(home, "--workers", "2") as serving:
        workers = await both_of(serving.process.pid)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(serving.url)) for _ in range(6)]
            async with anyio.create_task_group() as tasks:
                for client in clients:
                    tasks.start_soon(client.list_tools)
            run = (await call(clients[0], "start_search", **SEARCH))["run_id"]
            for client in clients[1:]:
                assert (await call(client, "get_search", run=run))["run_id"] == run
            assert (await call(clients[-1], "cancel_search", run=run))["state"] == "cancelled"
        os.kill(workers[0], signal.SIGKILL)
        alive = await both_of(serving.process.pid, without=workers[0])
        with anyio.fail_after(30):
            while not any("takes its place" in line for line in serving.said):  # noqa: ASYNC110
                await anyio.sleep(0.05)
        async with Client(serving.url) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "simulate_kernel", {"problem": LARGE, "source": ENDLESS})
            with anyio.fail_after(60):
                while not simulating(home):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            serving.process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(serving.process.wait, 30) == 143
        assert not simulating(home)
        assert not any(map(exists, alive))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
@pytest.mark.anyio
async def test_workers_do_not_outlive_a_command_that_was_killed(tmp_path: Path) -> None:
    with Serving(tmp_path / "home", "--workers", "2") as serving:
        workers = await both_of(serving.process.pid)
        serving.process.kill()
        serving.process.wait()
        with anyio.fail_after(30):
            while any(map(exists, workers)):  # noqa: ASYNC110
                await anyio.sleep(0.1)


def test_keys_that_are_too_short_are_refused(tmp_path: Path) -> None:
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", AUTOCOMP_STATE_KEY="short-key")
    assert status == 2 and "AUTOCOMP_STATE_KEY" in said and "short-key" not in said
    (tmp_path / "keys").write_text(f"{KEY}\nanother-short-key\n")
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--state-key-file", str(tmp_path / "keys"))
    assert status == 2 and "keys:2" in said and "another-short-key" not in said


def test_a_database_that_can_be_none_is_refused_before_there_are_workers(tmp_path: Path) -> None:
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--workers", "2", AUTOCOMP_DB="mysql://db.example.org/x")
    assert status == 2 and "AUTOCOMP_DB" in said and "Traceback" not in said, said


def test_what_a_worker_raises_is_printed() -> None:
    program = "from autocomp_mcp.server.serving.workers import supervise; supervise(lambda held: held / 0, 1, 9.0)"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = next(line for line in process.stderr if "Error" in line or "ended" in line)
        process.terminate()
        process.stderr.read()
    assert line.startswith("ZeroDivisionError")
