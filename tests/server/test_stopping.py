"""A server that is told to stop: what runs is answered or disconnected, searches are kept, and resume goes on."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.serving.calls import STOPPING
from mcp import Client, MCPError, StdioServerParameters
from server_process import ENDLESS, LARGE, Serving, clean_environment

MakeHome = Callable[[Path], Path]
SEARCH = {"problem": "gemmini/gemm-64x64x64", "model": "offline", "settings": {"iterations": 400}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.05)


def state(home: Path, run: str) -> str:
    journal = Journal(Home(home).database)
    try:
        return journal.status(run).state
    finally:
        journal.close()


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
async def test_over_http(
    number: signal.Signals, mode: str, tmp_path: Path, make_home: MakeHome, simulating: Callable[[Path], bool]
) -> None:
    home = make_home(tmp_path / "home")
    heard: list[str] = []
    with Serving(home) as serving:

        async def simulate(client: Client) -> None:
            result = await client.call_tool("simulate_kernel", {"problem": LARGE, "source": ENDLESS})
            assert result.is_error
            heard.append(result.content[0].text)

        async def wait(client: Client, run: str) -> None:
            try:
                await client.call_tool("get_search", {"run": run, "wait_s": 45})
            except MCPError:
                heard.append("disconnected")
            else:
                heard.append("answered")

        client = Client(serving.url, mode=mode)
        try:
            async with client, anyio.create_task_group() as tasks:
                run = (await client.call_tool("start_search", SEARCH)).structured_content["run_id"]
                tasks.start_soon(simulate, client)
                await until(lambda: simulating(home))
                tasks.start_soon(wait, client, run)
                await anyio.sleep(0.3)
                serving.process.send_signal(number)
        except BaseExceptionGroup as group:  # a session cannot be ended at a server that is gone
            if group.subgroup(AssertionError):
                raise
        assert await anyio.to_thread.run_sync(serving.process.wait, 30) == 128 + number
        await anyio.sleep(0.1)
        assert not [line for line in serving.said if "Traceback" in line or "ERROR" in line], serving.said
    assert STOPPING in heard and len(heard) == 2, heard
    assert not simulating(home)
    assert state(home, run) == "cancelled"
    if mode == "auto":
        resumed(home, run)


def resumed(home: Path, run: str) -> None:
    before = Journal(Home(home).database).status(run).evaluations
    command = [sys.executable, "-m", "autocomp_mcp", "resume", run, "--max-evaluations", str(before + 4)]
    done = subprocess.run(
        [*command, "--json"], env=clean_environment(home), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run_id"] == run
    assert Journal(Home(home).database).status(run).evaluations > before
    assert state(home, run) == "finished"


@pytest.mark.anyio
async def test_an_open_stream_does_not_hold_the_end_up(tmp_path: Path) -> None:
    with Serving(tmp_path / "home") as serving:
        try:
            async with Client(serving.url) as client, client.listen(resource_subscriptions=["run://x"]):
                serving.process.send_signal(signal.SIGTERM)
                assert await anyio.to_thread.run_sync(serving.process.wait, 30) == 143
        except BaseExceptionGroup as group:  # the client could not take its leave
            assert not group.subgroup(AssertionError)
        assert not [line for line in serving.said if "Traceback" in line or "ERROR" in line], serving.said


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
async def test_over_stdio_a_search_is_journalled(
    number: signal.Signals, tmp_path: Path, make_home: MakeHome, simulating: Callable[[Path], bool]
) -> None:
    home = make_home(tmp_path / "home")
    wrapper = tmp_path / "serve.sh"
    wrapper.write_text(f"echo $$ > {tmp_path}/pid\nexec {sys.executable} -m autocomp_mcp serve\n")
    parameters = StdioServerParameters(command="/bin/sh", args=[str(wrapper)], env=clean_environment(home))
    async with Client(parameters) as client:
        run = (await client.call_tool("start_search", SEARCH)).structured_content["run_id"]
        await until(lambda: simulating(home))
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, number)
        await until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())
    assert not simulating(home)
    assert state(home, run) == "cancelled"


def test_a_client_that_reads_nothing_does_not_keep_the_server(tmp_path: Path) -> None:
    """Its stdout is full, so an orderly end would wait for ever."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", "serve"], env=clean_environment(tmp_path / "home"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    messages = [{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize}]
    messages += [{"jsonrpc": "2.0", "method": "notifications/initialized"}]
    messages += [{"jsonrpc": "2.0", "id": n, "method": "tools/list"} for n in range(1, 30)]
    process.stdin.write("".join(json.dumps(message) + "\n" for message in messages).encode())
    process.stdin.flush()
    assert process.stdout
    assert select.select([process.stdout], [], [], 60)[0], "it answers, so it is ready for signals"
    time.sleep(3)  # until the pipe is full
    process.terminate()
    assert process.wait(30) == 143
    process.stdin.close()
    process.stdout.close()
