"""Clients written by others, and a server for them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from nginx import nginx, program, upstreams
from node_clients import Lack, NodeClients, installed


@pytest.fixture(scope="session")
def node_clients() -> NodeClients:
    try:
        return NodeClients(installed())
    except Lack as lack:
        pytest.skip(f"NOT TESTED with Claude Code, the Inspector and the conformance suite: {lack}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Iterator[str]:
    """The address of a server of ours over HTTP."""
    folder = tmp_path_factory.mktemp("node")
    with serving(folder / "stderr", make_home(folder / "home")) as url:
        yield url


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Iterator[str]:
    """The address of an nginx with three servers behind it, which share a home and a key."""
    binary = program()
    if binary is None:
        pytest.skip("NOT TESTED behind nginx: it is not installed")
    folder = tmp_path_factory.mktemp("balanced")
    home, key = make_home(folder / "home"), {"AUTOCOMP_STATE_KEY": "a key for tests, of 32 bytes or more"}
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(folder / f"stderr{n}", home, **key)) for n in range(3)]
        ports = [urlsplit(url).port or 0 for url in urls]
        port = stack.enter_context(nginx(binary, ports, folder))
        yield f"http://127.0.0.1:{port}/mcp"
        answered = upstreams(folder)
        assert min(answered.count(f"127.0.0.1:{port}") for port in ports) > len(answered) / 5


@contextmanager
def serving(log: Path, home: Path, **more: str) -> Iterator[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    # A file and not a pipe: nobody reads along what the server says of a thousand bad requests.
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "autocomp_mcp", "serve", "--http", "127.0.0.1:0"],
            env=env | {"AUTOCOMP_HOME": str(home), **more}, stdin=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
    try:
        while not (found := re.search(r"http://\S+/mcp", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found[0]
    finally:
        process.terminate()
        process.wait()
