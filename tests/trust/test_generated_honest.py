"""Kernels of the offline tuner at the end of random walks over its rewrites: all are right, none is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation, Problem
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.rewrites import REWRITES as GEMMINI
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.tuner.rewrites import REWRITES as TRAINIUM

pytestmark = pytest.mark.trust
PROBLEMS = {
    "gemmini": (
        "gemmini/gemm-64x64x64",
        "gemmini/gemm-100x36x70",
        "gemmini/gemm-33x17x130-bias",
        "gemmini/gemm-48x96x64-biasmat-relu",
        "gemmini/gemm-20x128x40-shift4",
        "gemmini/conv-8x8x16x32-k3-s1-p1",
        "gemmini/conv-9x7x20x24-k3-s2-p1-bias",
        "gemmini/conv-6x6x32x16-k1-s1-p0-n2-relu",
    ),
    "trainium": (
        "trainium/gemm-128x128x256",
        "trainium/gemm-200x300x100",
        "trainium/gemm-130x70x257-bf16",
        "trainium/rmsnorm-256x64",
        "trainium/rmsnorm-300x100",
        "trainium/conv1d-2x64x128x3",
        "trainium/conv1d-1x130x70x5",
    ),
}
SAMPLED, FULL = 6, 80  # walks per target
STEPS = 6
SECONDS = 120.0


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path]) -> Home:
    return Home(make_home(tmp_path / "home"))


@pytest.mark.parametrize("target", PROBLEMS)
def test_no_kernel_of_the_tuner_is_refused(target: str, home: Home, score, how_many) -> None:
    adapter = {"gemmini": GemminiAdapter, "trainium": TrainiumAdapter}[target](home)
    options = {"gemmini": GEMMINI, "trainium": TRAINIUM}[target].options()
    refused = []
    for seed in range(how_many(SAMPLED, FULL)):
        rng = random.Random(f"{target} {seed}")
        problem = adapter.problem(PROBLEMS[target][seed % len(PROBLEMS[target])])
        path, source = walk(adapter, problem, options, rng)
        evaluation = anyio.run(judged, adapter, problem, source)
        score(f"honest kernels passed, {target}", evaluation.verdict == "passed")
        if evaluation.verdict != "passed":
            refused.append(f"{problem.id} after {path}: {evaluation.verdict}: {evaluation.message}")
    assert not refused, "\n".join(refused)


def walk(
    adapter: GemminiAdapter | TrainiumAdapter, problem: Problem, options: tuple[str, ...], rng: random.Random
) -> tuple[list[str], str]:
    """What was changed, from the baseline on, and the kernel that came of it; longer for some seeds than for others."""
    source, path = adapter.baseline(problem), []
    for _ in range(rng.randint(1, STEPS)):
        option = rng.choice(options)
        if variants := adapter.rewrites(problem, source, option):
            name = rng.choice(variants).name
            source = adapter.rewrite(problem, source, option, name)
            path.append(f"{option}={name}")
    return path, source


async def judged(adapter: GemminiAdapter | TrainiumAdapter, problem: Problem, source: str) -> Evaluation:
    return await adapter.evaluate(problem, source, timeout_s=SECONDS)
