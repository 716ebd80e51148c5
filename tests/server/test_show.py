"""show and compare on journals of known content, through the real command."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.base import Evaluation, Latency

PROBLEM = "gemmini/gemm-64x64x64"
Cli = Callable[..., subprocess.CompletedProcess[str]]
KERNEL = (
    '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) {{ fence(); /* {} */ }}\n'
)


def judged(cycles: float | None, version: str = "1") -> dict[str, Any]:
    latency = Latency(value=cycles, unit="cycles", statistic="first call") if cycles else None
    return Evaluation(
        problem=PROBLEM, kernel="0" * 16, verdict="passed" if cycles else "compile_error",
        message="right" if cycles else "line 3: \x1b[31mno such thing", engine="gemsim", engine_version=version, seed=0,
        source="estimated", latency=latency, utilisation=100 / cycles if cycles else None,
    ).model_dump(mode="json")  # fmt: skip


class Run:
    """Writes a run's journal, one event after the other."""

    def __init__(self, home: Path, run_id: str, problem: str = PROBLEM, **changes: object) -> None:
        self._journal = Journal(home / "autocomp.db")
        settings = SearchSettings.for_model("offline", **changes).model_dump(mode="json")
        self._lease = self._journal.create(run_id, problem, "offline", settings, KERNEL.format("0"))
        self._journal.append(self._lease, "session", {"model": "offline"})

    def candidate(self, identity: str, parent: str | None, evaluation: dict[str, Any] | None, **more: object) -> None:
        plan = {"option": "wide-loads", "text": f"Plan {identity}.\n" + "Wider loads. " * 20} if parent else None
        data = {"id": identity, "iteration": 1, "parent": parent, "plan": plan, "evaluation": evaluation, **more}
        key = f"candidate/{identity}"
        self._journal.append(self._lease, "candidate", data, key=key, source=KERNEL.format(identity))

    def call(self, key: str) -> None:
        usage = {"input": 100, "output": 20, "cache_write": 0, "cache_read": 5}
        self._journal.append(self._lease, "model", {"reply": {"usage": usage, "cost_usd": 0.5}}, key=key)

    def end(self, state: Any = "finished", reason: str | None = "all 8 iterations done") -> None:
        if state:
            self._journal.set_state(self._lease, state, reason)
        self._journal.release(self._lease)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("show") / "home"
    quick = Run(home, "a-quick")
    quick.candidate("0", None, judged(1000))
    quick.call("plan/1.0.0/0")
    quick.candidate("1.0.0.0", "0", judged(None))
    quick.candidate("1.0.1.0", "0", judged(500))
    quick.candidate("1.0.2.0", "0", None, duplicate_of="1.0.1.0")
    quick.call("plan/2.0.0/0")
    quick.candidate("2.0.0.0", "1.0.1.0", judged(400))
    quick.end()
    slow = Run(home, "b-slow", seed=7, plans=2)
    slow.candidate("0", None, judged(1000))
    for n, cycles in enumerate((900, 800, 550, 530, 500)):
        slow.call(f"code/1.0.{n}.0/0")
        slow.candidate(f"1.0.{n}.0", "0", judged(cycles))
    slow.end()
    other = Run(home, "c-other", "gemmini/gemm-32x32x32")
    other.candidate("0", None, judged(100, "2"))
    other.end()
    failed = Run(home, "d-failed")
    failed.candidate("0", None, judged(None))
    failed.end("failed", "the kernel to start from does not pass")
    Run(home, "e-begun").end(None)
    return home


@pytest.fixture(scope="module")
def cli(home: Path) -> Cli:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_"))}

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autocomp_mcp", *args]
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env=clean | {"AUTOCOMP_HOME": str(home), "COLUMNS": "100"},
        )  # fmt: skip

    return call


def test_the_lineage_with_whole_plans(cli: Cli) -> None:
    short, whole = cli("show", "a-quick").stdout, cli("show", "a-quick", "--plans").stdout
    for text in (short, whole):
        assert "1,000" in text and "2.00x  wide-loads" in text and "1.25x  wide-loads" in text and "2.50x" in text
        assert "4 evaluations, 2 model calls, 1.00 USD" in text and "210 tokens in (5% cached), 40 out" in text
        assert max(map(len, text.splitlines())) <= 100
    assert short.count("Wider loads.") < 20 and whole.count("Wider loads.") > 30
    assert "candidate 1.0.1.0" in whole and "Plan 2.0.0.0." in whole


def test_all_candidates_in_pages(cli: Cli) -> None:
    rows = [line.split() for line in cli("show", "a-quick", "--candidates").stdout.splitlines()[1:]]
    assert rows == [
        ["0", "-", "-", "passed", "1,000", "-"],
        ["1.0.0.0", "0", "wide-loads", "compile_error", "-", "-"],
        ["1.0.1.0", "0", "wide-loads", "passed", "500", "2.00x"],
        ["1.0.2.0", "0", "wide-loads", "=", "1.0.1.0", "500", "2.00x"],
        ["2.0.0.0", "1.0.1.0", "wide-loads", "passed", "400", "1.25x"],
    ]
    seen, offset = [], 0
    while offset is not None:
        page = json.loads(
            cli("show", "a-quick", "--candidates", "--limit", "2", "--offset", str(offset), "--json").stdout
        )
        seen += page["candidates"]
        offset = page["next_offset"]
        assert page["total"] == 5 and page["run_id"] == "a-quick"
    assert [row["candidate"] for row in seen] == [row[0] for row in rows]
    assert seen[3] | {"verdict": "duplicate", "ratio": 2.0, "latency": 500.0} == seen[3]
    assert (
        "2 of 5; the next: autocomp-mcp show a-quick --candidates --offset 2"
        in cli("show", "a-quick", "--candidates", "--limit", "2").stdout
    )


def test_one_candidate(cli: Cli) -> None:
    text = cli("show", "a-quick", "--candidate", "2.0.0.0").stdout
    assert "1.25x against its parent 1.0.1.0" in text and "Plan 2.0.0.0." in text and "400 cycles (estimated" in text
    failed = cli("show", "a-quick", "--candidate", "1.0.0.0").stdout
    assert "compile_error" in failed and "no such thing" in failed and "\x1b" not in failed
    assert cli("show", "a-quick", "--candidate", "1.0.2.0", "--source").stdout == KERNEL.format("1.0.2.0")
    found = json.loads(cli("show", "a-quick", "--candidate", "2.0.0.0", "--json").stdout)
    assert found["source"] == KERNEL.format("2.0.0.0") and found["evaluation"]["verdict"] == "passed"
    assert found["plan"]["option"] == "wide-loads" and found["ratio"] == 1.25
    unknown = cli("show", "a-quick", "--candidate", "9.9.9.9")
    assert unknown.returncode == 2 and "show a-quick --candidates" in unknown.stderr
    assert cli("show", "a-quick", "--candidate", "0", "--candidates").returncode == 2
    assert json.loads(cli("show", "a-quick", "--source", "--json").stdout)["source"] == KERNEL.format("2.0.0.0")


@pytest.mark.parametrize("run", ["d-failed", "e-begun"])
def test_runs_without_a_best_kernel_break_nothing(cli: Cli, run: str) -> None:
    for args in ([], ["--plans"], ["--candidates"], ["--json"], ["--candidates", "--json"]):
        result = cli("show", run, *args)
        assert result.returncode == 0 and result.stdout and not result.stderr, (args, result.stderr)
    assert "no kernel passed" in cli("show", run).stdout
    assert cli("show", run, "--source").returncode == 2
    for pair in ((run, "a-quick"), ("a-quick", run), (run, run)):
        text = cli("compare", *pair)
        assert text.returncode == 0 and "not both have a best kernel" in text.stdout, text.stderr


def test_two_runs_side_by_side(cli: Cli) -> None:
    found = json.loads(cli("compare", "a-quick", "b-slow", "--json").stdout)
    assert [run["run_id"] for run in found["runs"]] == ["a-quick", "b-slow"]
    assert [run["speedup"] for run in found["runs"]] == [2.5, 2.0]
    assert found["settings"] == {"plans": [6, 2], "seed": [0, 7]} and found["incomparable"] == {}
    # The lower final speed-up is 2x: 500 cycles, 90 % of it 555.6, 95 % 526.3.
    assert [share["share"] for share in found["reaching"]] == [0.9, 0.95, 1.0]
    assert [share["evaluations"] for share in found["reaching"]] == [[3, 4], [3, 6], [3, 6]]
    assert found["reaching"][0]["model_calls"] == [1, 3]
    assert [len(run["lineage"]) for run in found["runs"]] == [3, 2]
    text = cli("compare", "a-quick", "b-slow").stdout
    for row in ("speed-up", "evaluations", "model calls", "tokens", "cost", "time", "to 95%", "plans", "baseline"):
        assert any(line.strip().startswith(row) for line in text.splitlines()), row
    assert text.count("the first kernel") == 2 and "note:" not in text


def test_what_cannot_be_compared_is_said(cli: Cli) -> None:
    found = json.loads(cli("compare", "a-quick", "c-other", "--json").stdout)
    assert set(found["incomparable"]) == {"problem", "engine"} and found["reaching"] == []
    text = cli("compare", "a-quick", "c-other").stdout
    assert "different problems" in text and "gemsim 1, gemsim 2" in text and "to 90%" not in text
    assert cli("compare", "a-quick", "never").returncode == 2
