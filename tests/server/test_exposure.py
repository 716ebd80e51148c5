"""Beyond this machine only with tokens and names; and what a client may ask for, how much, and how slowly."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import Deployment, build_server
from autocomp_mcp.server.serving import gate, http
from autocomp_mcp.tools.bench import Bench
from mcp import Client
from server_process import ENDLESS, INITIALIZE, LARGE, Serving
from test_auth import SECRET, refused

MakeHome = Callable[[Path], Path]
PROBLEM = "gemmini/gemm-32x32x32"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"ada:{SECRET}\n")
    return file


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"])
def test_the_world_is_refused_and_told_what_is_missing(address: str) -> None:
    with_tokens, with_names = http.Service(authenticated=True), http.Service(hosts=("kernels.example.org",))
    for service, missing in (
        (http.Service(), {"--token-file", "--allow-host"}),
        (with_tokens, {"--allow-host"}),
        (with_names, {"--token-file"}),
    ):
        with pytest.raises(http.AddressError, match="refusing") as caught:
            http.check_exposure(http.parse_address(address), service)
        assert {name for name in ("--token-file", "--allow-host") if name in str(caught.value)} == missing


def test_the_command_keeps_to_it(tmp_path: Path, tokens: Path) -> None:
    for options in ([], ["--token-file", str(tokens)], ["--allow-host", "kernels.example.org"]):
        status, said = refused(tmp_path, "--http", "0.0.0.0:0", *options)
        assert status == 2 and "refusing" in said, said
    status, said = refused(tmp_path, "--http", "127.0.0.1:0", "--allow-host", "*")
    assert status == 2 and "--allow-host" in said, said


@pytest.mark.parametrize("name", ["*", "*.example.org", "https://example.org", "a b", "a:b:c", ""])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(http.AddressError, match="--allow-host"):
        http.check_host(name)


def test_with_both_it_listens_and_knows_no_other_names(tmp_path: Path, tokens: Path) -> None:
    options = ["--token-file", str(tokens), "--allow-host", "kernels.example.org", "--allow-host", "10.0.0.5:8443"]
    with Serving(tmp_path / "home", *options, address="0.0.0.0:0") as serving:
        token = {"Authorization": f"Bearer {SECRET}"}
        for host, status in (
            ("kernels.example.org", 200), ("kernels.example.org:443", 200), ("10.0.0.5:8443", 200),
            ("10.0.0.5", 421), ("10.0.0.5:80", 421), ("kernels.example.org.attacker.example", 421),
            ("attacker.example", 421), (f"127.0.0.1:{serving.port}", 421), ("0.0.0.0", 421), ("", 421),
        ):  # fmt: skip
            assert serving.post(Host=host, **token).status == status, host
        assert serving.post(Host="kernels.example.org").status == 401
        for origin, status in (
            ("https://kernels.example.org", 200), ("http://kernels.example.org:8080", 200),
            ("https://attacker.example", 403), ("null", 403), ("https://kernels.example.org.attacker.example", 403),
        ):  # fmt: skip
            assert serving.post(Host="kernels.example.org", Origin=origin, **token).status == status, origin


def test_a_request_may_be_so_large_and_no_larger(tmp_path: Path) -> None:
    with Serving(tmp_path / "home", "--max-request-bytes", "5000") as serving:
        assert serving.post(INITIALIZE | {"x": "y" * 4000}).status == 200
        assert serving.post(INITIALIZE | {"x": "y" * 5000}).status == 413
        chunked = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        body = b"1000\r\n" + b"y" * 0x1000 + b"\r\n1000\r\n" + b"y" * 0x1000 + b"\r\n0\r\n\r\n"
        assert serving.ask("POST", "/mcp", body, chunked).status == 413


@asynccontextmanager
async def served(home: Path, max_calls: int | None = None, max_searches: int | None = None) -> AsyncIterator[int]:
    """Real HTTP from this process, so that a test can shorten its patience. Gives the port."""
    server = build_server(Bench(Home(home)), deployment=Deployment(max_calls=max_calls, max_searches=max_searches))
    listener = http.bind(http.Address("127.0.0.1", 0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(http.serve, server, listener, http.Service())
        yield listener.getsockname()[1]
        tasks.cancel_scope.cancel()


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.05)


async def until_closed(stream: anyio.abc.SocketStream) -> bytes:
    heard = b""
    with anyio.fail_after(20):
        try:
            while True:
                heard += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return heard


@pytest.mark.anyio
@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"POST /mcp HTT",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: 1\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    ],
)
async def test_who_sends_a_byte_at_a_time_is_not_waited_for(
    beginning: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gate, "HEADERS_WITHIN_S", 0.5)
    monkeypatch.setattr(gate, "BODY_WITHIN_S", 0.5)
    async with served(tmp_path) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:

        async def drip() -> None:
            while True:
                await anyio.sleep(0.1)
                try:
                    await stream.send(b"a")
                except anyio.BrokenResourceError:
                    return

        if beginning:
            await stream.send(beginning)
        async with anyio.create_task_group() as tasks:
            if beginning:
                tasks.start_soon(drip)
            heard = await until_closed(stream)
            tasks.cancel_scope.cancel()
        assert b" 200 " not in heard
    assert "Traceback" not in caplog.text


@pytest.mark.anyio
async def test_who_does_not_read_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "READS_WITHIN_S", 0.5)
    closed = []
    real = gate.PatientProtocol.connection_lost
    monkeypatch.setattr(
        gate.PatientProtocol, "connection_lost", lambda self, error: (closed.append(error), real(self, error))
    )
    request = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with served(tmp_path) as port:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        plain.connect(("127.0.0.1", port))
        plain.setblocking(False)
        with anyio.fail_after(30):
            while not closed:
                try:
                    plain.send(request * 200)
                except BlockingIOError:
                    pass
                except OSError:
                    break
                await anyio.sleep(0.01)
        plain.close()
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            assert (await client.list_tools()).tools, "the others are served"
    assert closed


@pytest.mark.anyio
async def test_a_caller_has_so_many_expensive_calls_at_once(
    tmp_path: Path, make_home: MakeHome, simulating: Callable[[Path], bool]
) -> None:
    home = make_home(tmp_path / "home")
    async with served(home, max_calls=2) as port, Client(f"http://127.0.0.1:{port}/mcp") as client:
        source = (await client.call_tool("get_problem", {"problem": PROBLEM})).structured_content["baseline"]
        async with anyio.create_task_group() as tasks:
            for seed in range(2):
                endless = {"problem": LARGE, "source": ENDLESS, "seed": seed}
                tasks.start_soon(client.call_tool, "simulate_kernel", endless)
            await until(lambda: simulating(home))
            refusal = await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": source})
            assert refusal.is_error and "2 of your calls" in refusal.content[0].text
            assert "sources" in refusal.content[0].text and "--max-calls" in refusal.content[0].text
            assert not (await client.call_tool("list_problems", {})).is_error, "cheap ones are not counted"
            tasks.cancel_scope.cancel()
        await until(lambda: not simulating(home))
        again = await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": source})
        assert not again.is_error, again.content


@pytest.mark.anyio
async def test_a_caller_has_so_many_searches_at_once(tmp_path: Path, make_home: MakeHome) -> None:
    home = make_home(tmp_path / "home")
    search = {"problem": PROBLEM, "model": "offline", "settings": {"iterations": 500}}
    async with served(home, max_searches=1) as port, Client(f"http://127.0.0.1:{port}/mcp") as client:
        first = (await client.call_tool("start_search", search)).structured_content["run_id"]
        refusal = await client.call_tool("start_search", search)
        assert refusal.is_error and "cancel_search" in refusal.content[0].text, refusal
        await client.call_tool("cancel_search", {"run": first})
        again = await client.call_tool("start_search", search)
        assert not again.is_error, again.content
        await client.call_tool("cancel_search", {"run": again.structured_content["run_id"]})


@pytest.mark.anyio
async def test_a_server_says_that_it_stops_while_calls_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = build_server(Bench(Home(tmp_path)))
    monkeypatch.setattr(server, "stopped", anyio.sleep_forever)
    listener = http.bind(http.Address("127.0.0.1", 0))
    health = http.url(listener).replace(http.MCP_PATH, gate.HEALTH)
    parent, kept = os.pipe()
    async with anyio.create_task_group() as tasks, httpx2.AsyncClient() as client:
        tasks.start_soon(http.serve, server, listener, http.Service(), parent)
        assert (await client.get(health)).status_code == 200
        os.close(kept)
        with anyio.fail_after(5):
            while (answer := await client.get(health)).status_code == 200:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert (answer.status_code, answer.text) == (503, "stopping\n")
        tasks.cancel_scope.cancel()
    os.close(parent)
