"""Clients written by others, and a server for them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
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
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    # A file and not a pipe: nobody reads along what the server says of a thousand bad requests.
    with (folder / "stderr").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "autocomp_mcp", "serve", "--http", "127.0.0.1:0"],
            env=env | {"AUTOCOMP_HOME": str(make_home(folder / "home"))}, stdin=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    try:
        while not (found := re.search(r"http://\S+/mcp", (folder / "stderr").read_text())):
            assert process.poll() is None, (folder / "stderr").read_text()
            time.sleep(0.05)
        yield found[0]
    finally:
        process.terminate()
        process.wait()
