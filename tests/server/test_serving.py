"""serve as a process: who may talk to it over HTTP, and what is left of it when it is told to stop."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}  # fmt: skip
ENDLESS = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { for (;;) ; }\n'


def serve(home: Path, *args: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", "serve", *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=env | {"AUTOCOMP_HOME": str(home)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    process = serve(tmp_path_factory.mktemp("serving"), "--http", "127.0.0.1:0")
    assert process.stderr
    found = next((m for line in process.stderr if (m := re.search(r"http://127.0.0.1:(\d+)/mcp", line))), None)
    assert found
    yield int(found[1])
    process.terminate()
    process.communicate()


def post(port: int, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    connection.request("POST", "/mcp", json.dumps(INITIALIZE), sent)
    response = connection.getresponse()
    try:
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "[::1]:{}"])
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1:{}"])
def test_who_is_on_this_machine_is_served(port: int, host: str, origin: str | None) -> None:
    headers = {"Host": host.format(port)} | ({"Origin": origin.format(port)} if origin else {})
    status, body = post(port, **headers)
    assert status == 200 and '"serverInfo"' in body, body


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:{}",
        "localhost.attacker.example:{}",
        "127.0.0.1.attacker.example",
        "0:{}",
        "",
    ],
)
def test_another_host_is_refused(port: int, host: str) -> None:
    """A page whose name was made to lead here (DNS rebinding) still sends its own name."""
    status, body = post(port, Host=host.format(port))
    assert 400 <= status < 500 and "serverInfo" not in body, (status, body)


@pytest.mark.parametrize(
    "origin",
    ["https://attacker.example", "http://localhost.attacker.example", "https://127.0.0.1:{}", "null", "file://"],
)
def test_another_origin_is_refused(port: int, origin: str) -> None:
    status, body = post(port, Host=f"127.0.0.1:{port}", Origin=origin.format(port))
    assert status == 403 and "serverInfo" not in body, (status, body)


def test_a_request_that_is_too_large_is_refused(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    with contextlib.suppress(ConnectionError):  # it may hang up before all has been sent
        connection.request("POST", "/mcp", json.dumps(INITIALIZE | {"x": "y" * (5 << 20)}), sent)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, None], ids=str)
def test_a_server_that_stops_takes_its_simulators_along(
    tmp_path: Path, make_home: Callable[[Path], Path], simulating: Callable[[Path], bool], how: int | None
) -> None:
    home = make_home(tmp_path / "home")

    call = {"name": "simulate_kernel", "arguments": {"problem": "gemmini/gemm-1024x1024x1024", "source": ENDLESS}}
    process = serve(home)
    assert process.stdin and process.stdout
    print(json.dumps(INITIALIZE), file=process.stdin, flush=True)
    assert "serverInfo" in process.stdout.readline()
    print('{"jsonrpc": "2.0", "method": "notifications/initialized"}', file=process.stdin)
    print(
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}), file=process.stdin, flush=True
    )
    while not simulating(home):
        assert process.poll() is None
        time.sleep(0.02)
    if how is None:
        process.stdin.close()
    else:
        process.send_signal(how)
    assert process.wait(timeout=60) == (0 if how is None else 128 + how)
    assert not simulating(home)
    assert process.stderr and "Traceback" not in process.stderr.read()
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            stream.close()
