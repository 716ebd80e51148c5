"""Clients that vanish and servers that are killed in mid-call: no process is left over, and the next call is served."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.server.serving.gate import MAX_OPEN_REQUESTS, RETRY_AFTER_S, Gate, security
from faults import intact, running, until, workers
from server_process import ENDLESS, INITIALIZE, LARGE, Serving, clean_environment
from starlette.testclient import TestClient

pytestmark = pytest.mark.trust
MakeHome = Callable[[Path], Path]
ROW = "faults survived"
CALL = {
    "jsonrpc": "2.0", "id": 2, "method": "tools/call",
    "params": {"name": "simulate_kernel", "arguments": {"problem": LARGE, "source": ENDLESS}},
}  # fmt: skip
TARGETS = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_targets", "arguments": {}}}


@pytest.fixture
def home(tmp_path: Path, make_home: MakeHome) -> Path:
    return make_home(tmp_path / "home")


def lines(*messages: dict[str, Any]) -> bytes:
    return "".join(json.dumps(message) + "\n" for message in messages).encode()


def over_stdio(home: Path) -> subprocess.Popen[bytes]:
    """A server in the middle of a long call."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", "serve"], env=clean_environment(home),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(lines(INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}, CALL))
    process.stdin.flush()
    assert until(lambda: running(workers(home)))
    return process


@pytest.mark.parametrize("how", ["client gone", "server killed"])
def test_over_stdio(how: str, home: Path, score) -> None:
    process = over_stdio(home)
    assert process.stdin and process.stdout
    if how == "client gone":
        process.stdin.close()
        process.stdout.close()
    else:
        process.kill()
    ended = until(lambda: process.poll() is not None, 30)
    held = ended and until(lambda: not running(workers(home)), 10)
    score(ROW, held)
    process.kill()
    process.wait()
    if not process.stdin.closed:
        process.stdin.close()
        process.stdout.close()
    assert held, [found.command for found in running(workers(home))]


def begun(serving: Serving) -> socket.socket:
    """A connection on which a long call runs."""
    body = json.dumps(CALL).encode()
    connection = socket.create_connection(("127.0.0.1", serving.port))
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def test_over_http(home: Path, score) -> None:
    key = {"AUTOCOMP_STATE_KEY": "k" * 40}  # no sessions: a call is one request
    with Serving(home, **key) as serving:
        connection = begun(serving)
        assert until(lambda: running(workers(home)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()  # with a reset
        held = until(lambda: not running(workers(home)), 15)
        answer = serving.post(TARGETS)
        held = held and answer.status == 200 and "gemsim" in answer.body
        score(ROW, held)
        assert held, answer
        connection = begun(serving)
        assert until(lambda: running(workers(home)))
        os.kill(serving.process.pid, signal.SIGKILL)
        serving.process.wait()
        held = until(lambda: not running(workers(home)), 15)
        score(ROW, held)
        connection.close()
        assert held
    with Serving(home, **key) as serving:
        answer = serving.post(TARGETS)
        held = answer.status == 200 and "gemsim" in answer.body
        held = held and (not (home / "autocomp.db").exists() or intact(home / "autocomp.db"))
        score(ROW, held)
        assert held, answer


def test_a_full_server_says_when_to_come_back(score) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody gets here")

    gate = Gate(app, security([], ["testserver"]))
    gate._open = MAX_OPEN_REQUESTS
    answer = TestClient(gate).post("/mcp", content=b"{}", headers={"Content-Type": "application/json"})
    held = answer.status_code == 503 and answer.headers["retry-after"] == str(RETRY_AFTER_S)
    score(ROW, held)
    assert held, answer


def test_a_supervisor_that_is_killed_takes_its_workers_along(home: Path, score) -> None:
    with Serving(home, "--workers", "2") as serving:
        parent = serving.process.pid
        listed = Path(f"/proc/{parent}/task/{parent}/children")
        assert until(lambda: len(listed.read_text().split()) == 2)
        children = [int(pid) for pid in listed.read_text().split()]
        serving.process.kill()
        serving.process.wait()
        time.sleep(0.1)
        held = until(lambda: not running(lambda found: found.pid in children), 20)
        score(ROW, held)
        assert held
