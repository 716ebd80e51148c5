"""Claude Code itself with our server, its model played by a script: what it finds, calls, and hands to the model."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from messages_api import MessagesApi
from node_clients import NodeClients
from scripted_assistant import Script, ScriptedAssistant, call

pytestmark = pytest.mark.node
PROBLEM = "gemmini/gemm-64x64x64"
ENDLESS = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { for (;;) ; }\n'


def ours(tool: str) -> str:
    return f"mcp__autocomp__{tool}"


class ClaudeCode:
    """One installation with an empty home."""

    def __init__(self, clients: NodeClients, folder: Path, autocomp_home: Path) -> None:
        self.home = folder / "home"
        self.autocomp_home = autocomp_home
        self.project = folder / "project"
        for each in (self.home, self.project):
            each.mkdir()
        self._program = clients.folder / ".bin" / "claude"
        self._environment = clients.environment(
            HOME=str(self.home),
            AUTOCOMP_HOME=str(autocomp_home),
            ANTHROPIC_API_KEY="test",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            DISABLE_AUTOUPDATER="1",
        )
        self.servers = folder / "mcp.json"
        self.servers.write_text(
            json.dumps(
                {"mcpServers": {"autocomp": {"command": sys.executable, "args": ["-m", "autocomp_mcp", "serve"]}}}
            )
        )

    def answer(self, prompt: str, script: Script) -> list[dict]:
        """The lines it printed while the script played its model."""
        assistant = ScriptedAssistant(script)
        with MessagesApi(assistant) as api:
            done = self.run(
                "-p", prompt, "--output-format", "stream-json", "--verbose", "--mcp-config", str(self.servers),
                "--strict-mcp-config", "--allowedTools", "mcp__autocomp", ANTHROPIC_BASE_URL=api.url,
            )  # fmt: skip
        assistant.check()
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def autocomp(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *args], cwd=self.project, env=self._environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip

    def run(self, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *args], cwd=self.project, env=self._environment | more, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def start(self, *args: str, **more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._program, *args], cwd=self.project, env=self._environment | more, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def claude_code(node_clients: NodeClients, tmp_path: Path, make_home: Callable[[Path], Path]) -> ClaudeCode:
    found = ClaudeCode(node_clients, tmp_path, make_home(tmp_path / "autocomp"))
    version = found.run("--version")
    if version.returncode:
        pytest.skip(f"NOT TESTED with Claude Code: npm brought no program for this platform: {version.stderr[-300:]}")
    return found


def test_it_finds_our_tools_simulates_reads_the_menu_and_waits_for_a_search(claude_code: ClaudeCode) -> None:
    found: dict[str, str] = {}
    statuses: list[dict] = []

    def script() -> Script:
        # It shows its model names only; schemas come by searching. Words that a person would use have to lead to us.
        for words, tool in {
            "gemmini": "list_targets",
            "optimize kernel": "start_search",
            "simulate kernel latency": "simulate_kernel",
            "profile bottleneck": "profile_kernel",
        }.items():
            (hits,) = yield call("ToolSearch", query=words, max_results=5)
            assert ours(tool) in hits.text, (words, hits.text)
        wanted = (
            "get_problem",
            "simulate_kernel",
            "profile_kernel",
            "list_optimizations",
            "start_search",
            "get_search",
        )
        (hits,) = yield call("ToolSearch", query="select:" + ",".join(map(ours, wanted)), max_results=9)
        assert all(ours(tool) in hits.text for tool in wanted)

        (detail,) = yield call(ours("get_problem"), problem=PROBLEM)
        baseline = detail.data["baseline"]
        (evaluation,) = yield call(ours("simulate_kernel"), problem=PROBLEM, source=baseline)
        assert evaluation.data["verdict"] == "passed" and evaluation.data["source"] == "estimated"
        (profile,) = yield call(ours("profile_kernel"), problem=PROBLEM, source=baseline)
        bottleneck = profile.data["profile"]["bottlenecks"][0]["id"]
        (menu,) = yield call(ours("list_optimizations"), problem=PROBLEM, bottlenecks=[bottleneck])
        assert menu.data["options"][0]["addresses"] == 0  # the first of those asked for
        (guide,) = yield call("ReadMcpResourceTool", server="autocomp", uri="reference://gemmini/guide")
        found["guide"] = guide.text
        (started,) = yield call(
            ours("start_search"), problem=PROBLEM, model="offline", settings={"max_evaluations": 8, "plans": 2}
        )
        status = started.data
        while status["state"] == "running":
            (answer,) = yield call(ours("get_search"), run=status["run_id"], wait_s=30)
            status = answer.data
            statuses.append(status)
        (refused,) = yield call(ours("simulate_kernel"), problem="gemmini/gem-64x64x64", source="int x;")
        assert refused.is_error and "did you mean" in refused.text
        yield "The kernel is faster now."

    lines = claude_code.answer("Make this kernel faster.", script())
    started, ended = lines[0], lines[-1]
    assert started["mcp_servers"][0] | {"name": "autocomp", "status": "connected"} == started["mcp_servers"][0]
    assert sum(tool.startswith(ours("")) for tool in started["tools"]) == 12
    assert ours("optimize_kernel") in started["slash_commands"]  # our prompts, as commands for the person
    assert "mvin" in found["guide"]
    assert statuses[-1]["state"] == "finished" and statuses[-1]["speedup"] > 1
    assert "solution" in statuses[-1]["best_source"]
    assert ended["result"] == "The kernel is faster now." and not ended["permission_denials"]


def test_its_model_gets_our_instructions_and_complete_results(claude_code: ClaudeCode) -> None:
    def script() -> Script:
        (hits,) = yield call("ToolSearch", query=f"select:{ours('list_problems')}", max_results=5)
        assert ours("list_problems") in hits.text
        (listed,) = yield call(ours("list_problems"), suite="autocomp-gemm")
        assert len(listed.data["problems"]) == 6  # the typed result, whole, and no file in its place

    assistant = ScriptedAssistant(script())
    with MessagesApi(assistant) as api:
        done = claude_code.run(
            "-p", "What is there?", "--mcp-config", str(claude_code.servers), "--strict-mcp-config",
            "--allowedTools", "mcp__autocomp", ANTHROPIC_BASE_URL=api.url,
        )  # fmt: skip
        asked = json.dumps(api.requests[0])
    assistant.check()
    assert done.stdout.strip() == "Done."
    assert "Makes kernels for tensor accelerators fast." in asked and "get_search" in asked


@pytest.mark.slow
def test_from_an_empty_home_install_is_all_it_takes(claude_code: ClaudeCode) -> None:
    installed = claude_code.autocomp("install", "claude-code", "--yes")
    assert installed.returncode == 0, installed.stderr
    health = claude_code.run("mcp", "list").stdout
    assert re.search(r"autocomp: .*serve - .*Connected", health), health

    def script() -> Script:
        yield call("ToolSearch", query=f"select:{ours('get_problem')}", max_results=1)
        (detail,) = yield call(ours("get_problem"), problem=PROBLEM)
        assert "solution" in detail.data["baseline"]

    assistant = ScriptedAssistant(script())
    with MessagesApi(assistant) as api:
        done = claude_code.run(
            "-p", f"/{ours('optimize_kernel')} {PROBLEM}", "--allowedTools", "mcp__autocomp",
            ANTHROPIC_BASE_URL=api.url, MCP_CONNECTION_NONBLOCKING="0",
        )  # fmt: skip
        asked = json.dumps(next(body for body in api.requests if body.get("tools"))["messages"])
    assistant.check()
    assert done.returncode == 0, done.stderr
    assert "Make a kernel for this problem as fast as you can" in asked
    again = claude_code.autocomp("install", "claude-code", "--yes")  # Claude Code has written to the file since
    assert again.returncode == 0 and "already" in again.stderr


@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, *(pytest.param(how, marks=pytest.mark.slow) for how in (signal.SIGINT, signal.SIGTERM))],
    ids=lambda number: number.name,
)
def test_when_it_goes_its_simulators_go_too(
    how: signal.Signals, claude_code: ClaudeCode, simulating: Callable[[Path], bool]
) -> None:
    """It gives a server less than half a second to stop, or, killed itself, no word at all."""

    def script() -> Script:
        yield call("ToolSearch", query=f"select:{ours('simulate_kernel')}", max_results=1)
        yield call(ours("simulate_kernel"), problem="gemmini/gemm-1024x1024x1024", source=ENDLESS)

    with MessagesApi(ScriptedAssistant(script())) as api:
        process = claude_code.start(
            "-p", "Simulate this.", "--mcp-config", str(claude_code.servers), "--strict-mcp-config", "--allowedTools",
            "mcp__autocomp", ANTHROPIC_BASE_URL=api.url,
        )  # fmt: skip
        until(lambda: simulating(claude_code.autocomp_home) or process.poll() is not None)
        assert process.poll() is None
        process.send_signal(how)
        process.wait()
        until(lambda: not simulating(claude_code.autocomp_home), 15)  # by itself it would go on for 45 s


def until(true: Callable[[], bool], patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
