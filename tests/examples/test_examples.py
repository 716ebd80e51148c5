"""Each example runs as its reader would run it; models are scripts behind fakes of their APIs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chat_api import ChatApi
from messages_api import MessagesApi
from scripted_assistant import Script, ScriptedAssistant, call

EXAMPLES = Path(__file__).parents[2] / "examples"
PROBLEM = "gemmini/gemm-64x64x64"


@pytest.fixture
def environment(tmp_path: Path, make_home: Callable[[Path], Path]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_", "OPENAI_"))}
    return kept | {"AUTOCOMP_HOME": str(make_home(tmp_path / "home"))}


def run(example: str, *args: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, EXAMPLES / example, *args], env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def engineer() -> Script:
    """A model that takes the first rewrite of the menu: what the prompt asks for, in one pass."""
    (detail,) = yield call("get_problem", problem=PROBLEM)
    baseline = detail.data["baseline"]
    (profile,) = yield call("profile_kernel", problem=PROBLEM, source=baseline)
    wanted = [bottleneck["id"] for bottleneck in profile.data["profile"]["bottlenecks"]]
    (menu,) = yield call("list_optimizations", problem=PROBLEM, bottlenecks=wanted, source=baseline)
    option = next(option["id"] for option in menu.data["options"] if option["rewrites"])
    (ways,) = yield call("get_optimization", option=option, problem=PROBLEM, source=baseline)
    variant = ways.data["rewrites"][0]["name"]
    (way,) = yield call("get_optimization", option=option, problem=PROBLEM, source=baseline, variant=variant)
    both = [baseline, way.data["source"]]
    # Two calls in one turn, one of them wrong: the mistake has to reach the model as an error with advice.
    ranked, refused = yield (
        call("simulate_kernel", problem=PROBLEM, sources=both) + call("get_problem", problem="gemmini/gem-1x1x1")
    )
    assert "did you mean" in refused.text
    latencies = [entry["latency"] for entry in ranked.data["ranking"]]
    yield f"{option}: {latencies}"


def test_the_anthropic_tool_runner(environment: dict[str, str], tmp_path: Path) -> None:
    assistant = ScriptedAssistant(engineer())
    with MessagesApi(assistant) as api:
        keys = {"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": "test"}
        done = run("anthropic_tool_runner.py", PROBLEM, env=environment | keys, cwd=tmp_path)
        first = api.requests[0]
    assistant.check()
    assert "-> simulate_kernel" in done.stdout and re.search(r"[\w-]+: \[\d", done.stdout)
    assert "Make a kernel for this problem" in json.dumps(first["messages"])
    assert "mvin" in json.dumps(first["system"])
    assert len(first["tools"]) == 9 and first["cache_control"]


def test_the_openai_agents_sdk(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("agents", reason="needs openai-agents, which the extra `test` brings")
    assistant = ScriptedAssistant(engineer())
    with ChatApi(assistant.as_chat) as api:
        keys = {"OPENAI_BASE_URL": api.url, "OPENAI_API_KEY": "test"}
        done = run("openai_agents.py", PROBLEM, env=environment | keys, cwd=tmp_path)
        first = api.requests[0]
    assistant.check()
    assert re.search(r"[\w-]+: \[\d", done.stdout)
    assert "Make a kernel for this problem" in json.dumps(first["messages"]) and len(first["tools"]) == 9


@contextmanager
def serving(command: list[str], env: dict[str, str], log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and process, while it runs."""
    with log.open("w") as out:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stderr=out)
    try:
        while not (found := re.search(r"serving MCP at (\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found[1], process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_hosts_behind_one_controller(
    environment: dict[str, str], tmp_path: Path, make_home: Callable[[Path], Path]
) -> None:
    serve = [sys.executable, "-m", "autocomp_mcp", "serve", "--http", "127.0.0.1:0"]
    homes = [make_home(tmp_path / name) for name in ("one", "two")]
    log = tmp_path / "pool.log"
    with (
        serving(serve, environment | {"AUTOCOMP_HOME": str(homes[0])}, tmp_path / "one.log") as (one, first),
        serving(serve, environment | {"AUTOCOMP_HOME": str(homes[1])}, tmp_path / "two.log") as (two, _),
    ):
        pool = [sys.executable, str(EXAMPLES / "two_hosts.py"), str(free_port()), one, two]
        with serving(pool, environment, log) as (url, _):
            search = [
                sys.executable, "-m", "autocomp_mcp", "optimize", PROBLEM, "--server", url, "--model", "offline",
                "--max-evaluations", "12", "--set", "max_parallel_engine=4", "--json",
            ]  # fmt: skip
            done = subprocess.run(search, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["speedup"] > 1
            simulated = re.findall(r"simulate_kernel -> (\S+)", log.read_text())
            assert min(simulated.count(one), simulated.count(two)) >= 4, log.read_text()
            first.kill()
            first.wait()
            again = subprocess.run(search, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert again.returncode == 0, again.stderr
