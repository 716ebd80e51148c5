"""A search on a server that dies in the middle ends with a line that says so, and goes on later."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

AUTOCOMP = [sys.executable, "-m", "autocomp_mcp"]
PROBLEM = "gemmini/gemm-96x96x96"


def test_a_server_that_dies_leaves_a_search_that_goes_on(tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    env = kept | {"AUTOCOMP_HOME": str(make_home(tmp_path / "home"))}
    theirs = kept | {"AUTOCOMP_HOME": str(make_home(tmp_path / "server"))}
    log = tmp_path / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [*AUTOCOMP, "serve", "--http", "127.0.0.1:0"], env=theirs, stdin=subprocess.DEVNULL, stderr=out
        )
    while not (url := re.search(r"http://\S+", log.read_text())):
        assert server.poll() is None
        time.sleep(0.05)
    search = subprocess.Popen(
        [*AUTOCOMP, "optimize", PROBLEM, "--server", url[0], "--model", "offline", "--json"],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def evaluations() -> int:
        listed = subprocess.run([*AUTOCOMP, "runs", "--json"], env=env, capture_output=True, text=True).stdout
        runs = json.loads(listed)["runs"] if listed else []
        return runs[0]["evaluations"] if runs else 0

    while evaluations() < 3:
        assert search.poll() is None, search.communicate()
    server.send_signal(signal.SIGKILL)
    server.wait()
    stdout, stderr = search.communicate(timeout=120)
    assert search.returncode == 3, (stdout, stderr)
    assert "Traceback" not in stderr
    assert "MCP server" in json.loads(stdout)["error"]["message"]
    resumed = subprocess.run(
        [*AUTOCOMP, "resume", "last", "--max-evaluations", str(evaluations() + 4), "--json"],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert resumed.returncode == 0 and json.loads(resumed.stdout)["speedup"] > 1, resumed.stderr
