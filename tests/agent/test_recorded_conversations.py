"""Searches with a real language model, repeated from their recordings: conversations, kernels and verdicts are real.

docs/real_model.md says how they were made. Nothing here depends on the compiler found: what is asserted holds for the
kernels of the recording with gcc and with zig.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"


class Recorded(NamedTuple):
    problem: str  # of gemmini, where it names no other target
    exchanges: int
    least: float  # utilisation of the best kernel
    options: tuple[str, ...]


TWO_PLANS = ("--plans", "2", "--beam", "1")
SEARCHES = {
    "gemm-512x512x512": Recorded("gemm-512x512x512", 18, 0.97, ("--iterations", "3")),
    "gemm-784x1024x256": Recorded("gemm-784x1024x256", 6, 0.97, ("--iterations", "2")),
    "conv-14x14x256x256-k3-s1-p1-n4": Recorded("conv-14x14x256x256-k3-s1-p1-n4", 30, 0.95, ("--iterations", "3")),
    "gemm-512x512x512-edits": Recorded(
        "gemm-512x512x512",
        4,
        0.96,
        ("--iterations", "1", "--plans", "2", "--set", "edit_above=0", "--source", "start.c"),
    ),
    "gemm-512x512x512-one-phase": Recorded(
        "gemm-512x512x512",
        2,
        0.96,
        ("--iterations", "1", "--plans", "2", "--set", "one_phase=true", "--source", "start.c"),
    ),
    "gemm-128x128x128-translation": Recorded(
        "gemm-128x128x128",
        8,
        0.72,
        ("--iterations", "2", "--plans", "2", "--beam", "1", "--set", "translate_iterations=1", "--source", "scalar.c"),
    ),
    "rmsnorm-4096x512": Recorded("trainium/rmsnorm-4096x512", 8, 0.9, ("--iterations", "2", *TWO_PLANS)),
    "colsum-8192x4096": Recorded("nvidia/colsum-8192x4096", 8, 0.88, ("--iterations", "2", *TWO_PLANS)),
    "attention-1024x128-bf16": Recorded(
        "trainium/attention-1024x128-bf16", 12, 0.35, ("--iterations", "3", *TWO_PLANS)
    ),
    "sgemm-1024x1024x1024": Recorded("nvidia/sgemm-1024x1024x1024", 12, 0.6, ("--iterations", "3", *TWO_PLANS)),
    # Plans and first codes are a script's, which broke each code in another way; the six repairs are the model's.
    "gemm-256x256x256-repairs": Recorded(
        "gemm-256x256x256", 18, 0.5, ("--iterations", "1", "--plans", "6", "--beam", "1", "--set", "dropout=0")
    ),
}


# The others show the same machinery on one recording each.
LONG = (
    "conv-14x14x256x256-k3-s1-p1-n4",
    "gemm-128x128x128-translation",
    "gemm-512x512x512-edits",
    "attention-1024x128-bf16",
    "sgemm-1024x1024x1024",
    "colsum-8192x4096",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in SEARCHES]
)
def test_a_recorded_search_comes_to_the_same_end(tmp_path: Path, make_home: Callable[[Path], Path], name: str) -> None:
    problem, exchanges, least, options = SEARCHES[name]
    recording = RECORDINGS / f"{name}.jsonl"
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    assert sum(line["kind"] == "exchange" for line in lines) == exchanges
    command = [
        sys.executable, "-m", "autocomp_mcp", "optimize", problem if "/" in problem else f"gemmini/{problem}",
        "--model", f"replay:{recording}",
        "--plans", "3", "--codes", "1", "--beam", "2", *options, "--json",
    ]  # fmt: skip
    environment = {**os.environ, "AUTOCOMP_HOME": str(make_home(tmp_path / "home"))}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env=environment, cwd=RECORDINGS, check=False
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["model_calls"] == exchanges
    assert found["best"]["utilisation"] >= least
    assert found["cost_usd"] == 0 and found["tokens"]["input"] > 1_000
