"""--confirm from outside: the command line and the tool, with a stand-in for the slow engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_stand_ins import PROBLEM, Installed, alive, install
from mcp import Client, StdioServerParameters


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("confirm") / "home")


def environment(home: Path, engine: Installed | None) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}
    return clean | {"AUTOCOMP_HOME": str(home), "COLUMNS": "200"} | (engine.environment if engine else {})


@pytest.fixture
def cli(home: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*args: str, engine: Installed | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *args], capture_output=True, text=True, cwd=tmp_path,
            stdin=subprocess.DEVNULL, env=environment(home, engine),
        )  # fmt: skip

    return call


Cli = Callable[..., subprocess.CompletedProcess[str]]
SEARCH = ("optimize", PROBLEM, "--max-evaluations", "5", "--confirm", "verilator", "--confirm-top", "2")


@pytest.fixture
def killed() -> Iterator[list[int]]:
    """Processes that a killed command leaves to nobody."""
    pids: list[int] = []
    yield pids
    for pid in filter(alive, pids):
        os.kill(pid, signal.SIGKILL)


def test_the_report_says_both_numbers_and_which_is_best(cli: Cli, tmp_path: Path) -> None:
    engine = install(tmp_path / "sim", "verilator")
    result = cli(*SEARCH, engine=engine)
    assert result.returncode == 0, result.stderr
    assert "confirm: 2 kernels on verilator" in result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("confirmed")]
    assert len(lines) == 2 and len(engine.runs()) == 2
    assert all("cycles on gemsim" in line and "50,000 cycles on verilator (measured)" in line for line in lines)
    assert lines[0].endswith("<- best") and "best" not in lines[1]
    shown = json.loads(cli("show", "last", "--json").stdout)
    assert [found["best"] for found in shown["confirmations"]] == [True, False]
    assert shown["best"]["source"] == "estimated" and shown["confirmations"][0]["source"] == "measured"
    assert shown["confirmations"][0]["candidate"] == shown["best"]["candidate"]
    assert "50,000 cycles on verilator (measured)" in Path(shown["best"]["source_path"]).read_text()


def test_kernels_that_it_refuses_are_no_result_and_a_larger_limit_searches_on(cli: Cli, tmp_path: Path) -> None:
    result = cli(*SEARCH, "--json", engine=install(tmp_path / "sim", "verilator", "wrong"))
    assert result.returncode == 1, result.stderr
    final = json.loads(result.stdout)
    assert final["best"] is None and final["speedup"] is None and final["baseline"] is not None
    assert {found["verdict"] for found in final["confirmations"]} == {"wrong_result"}
    assert "none of the 2 fastest" in result.stderr
    text = cli("show", "last").stdout
    assert "best       none" in text and text.count("refused") == 2
    assert f"go on with: autocomp-mcp resume {final['run_id']} --max-evaluations N" in result.stderr
    mended = install(tmp_path / "mended", "verilator")
    more = cli("resume", final["run_id"], "--max-evaluations", "12", "--json", engine=mended)
    assert more.returncode == 0, more.stderr
    after = json.loads(more.stdout)
    assert after["evaluations"] == 12 and len(after["confirmations"]) == 2 + len(mended.runs())
    refused = {found["candidate"] for found in final["confirmations"]}
    assert after["best"]["candidate"] == after["confirmations"][0]["candidate"] not in refused


def test_an_engine_that_is_not_there_is_said_before_the_search(cli: Cli) -> None:
    lacking, unknown = cli(*SEARCH, "--json"), cli("optimize", PROBLEM, "--confirm", "fpga", "--json")
    assert (lacking.returncode, unknown.returncode) == (3, 2)
    assert "AUTOCOMP_GEMMINI_VERILATOR" in json.loads(lacking.stdout)["error"]["message"]
    assert "verilator" in json.loads(unknown.stdout)["error"]["message"], "the ones there are"


def test_killed_while_confirming_and_resumed(cli: Cli, home: Path, tmp_path: Path, killed: list[int]) -> None:
    engine = install(tmp_path / "sim", "verilator", "hangs")
    process = subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", *SEARCH], cwd=tmp_path, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(home, engine),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(engine.pids()) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    killed += engine.pids()
    assert len(engine.pids()) == 4, "two simulators, each with a child"
    before = json.loads(cli("show", "last", "--json").stdout)
    assert before["state"] == "interrupted" and before["evaluations"] == 5 and not before["confirmations"]
    mended = install(tmp_path / "mended", "verilator")
    result = cli("resume", "last", "--json", engine=mended)
    assert result.returncode == 0, result.stderr
    after = json.loads(result.stdout)
    assert after["state"] == "finished" and len(after["confirmations"]) == len(mended.runs()) == 2
    assert (after["evaluations"], after["model_calls"]) == (5, before["model_calls"])
    assert after["best"]["candidate"] == after["confirmations"][0]["candidate"]


def test_doctor_shows_each_engine_with_reason_and_setup(cli: Cli, tmp_path: Path) -> None:
    def checks(engine: Installed | None) -> dict[str, Any]:
        report = json.loads(cli("doctor", "--json", engine=engine).stdout)
        return {c["name"]: c for c in report["checks"] if c["name"].startswith("engine gemmini/")}

    without = checks(None)
    assert {name.rpartition("/")[2] for name in without} == {"gemsim", "spike", "verilator", "firesim"}
    lacking = without["engine gemmini/firesim"]
    assert not lacking["ok"] and not lacking["required"] and "AUTOCOMP_FIRESIM" in lacking["mend"]
    engine = install(tmp_path / "sim", "spike")
    found = checks(engine)["engine gemmini/spike"]
    assert found["ok"] and engine.environment["AUTOCOMP_SPIKE"] in found["found"] and "not cycles" in found["found"]
    text = cli("doctor", engine=None).stdout
    assert "not available" in text and "AUTOCOMP_GEMMINI_VERILATOR" in text


@pytest.mark.anyio
async def test_start_search_takes_it_among_the_settings(home: Path, tmp_path: Path) -> None:
    engine = install(tmp_path / "sim", "verilator")
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "autocomp_mcp", "serve"], env=environment(home, engine)
    )
    settings = {"max_evaluations": 4, "confirm": "verilator", "confirm_top": 1}
    async with Client(server) as client:
        wanted = {"problem": PROBLEM, "model": "offline", "settings": settings}
        refused = await client.call_tool("start_search", wanted | {"settings": settings | {"confirm": "fpga"}})
        assert refused.is_error and "verilator" in refused.content[0].text  # type: ignore[union-attr]
        started = await client.call_tool("start_search", wanted)
        status = dict(started.structured_content or {})
        deadline = time.monotonic() + 120
        while status["state"] == "running" and time.monotonic() < deadline:
            looked = await client.call_tool("get_search", {"run": status["run_id"], "wait_s": 10})
            status = dict(looked.structured_content or {})
        assert status["state"] == "finished", status["stop_reason"]
        assert [(c["engine"], c["latency"], c["best"]) for c in status["confirmations"]] == [
            ("verilator", 50_000, True)
        ]
        # The tool itself gives a slow engine the time that suits it.
        answered = await client.call_tool(
            "simulate_kernel", {"problem": PROBLEM, "source": status["best_source"], "engine": "verilator"}
        )
        evaluation = dict(answered.structured_content or {})
        assert evaluation["engine"] == "verilator" and evaluation["latency"]["value"] == 50_000 and evaluation["cached"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
