"""Estimates beside published latencies (trn1), for kernels written by us with the same kind of algorithm.

    python tests/benchmarks/trainium_published.py [gemm] [mamba] [conv1d]

The published kernels' sources are not here: a row compares algorithms, not programs. The large product takes minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from autocomp_mcp.hardware_adapters.base import Evaluation, Profile
from autocomp_mcp.hardware_adapters.registry import adapter_for

KERNELS = Path(__file__).parents[1] / "data" / "trainium"
# problem, published ms of the first and of the optimised kernel, our optimised kernel
ROWS = {
    "mamba": ("trainium/mamba-256x2048x16", 0.636, 0.359, "mamba_hoisted"),
    "conv1d": ("trainium/conv1d-8x512x2048x3", 8.007, 0.461, "conv1d_rows"),
    "gemm": ("trainium/gemm-4096x8192x8192-bf16", 20.99, 6.96, "gemm_blocked"),
}


async def estimated(problem_id: str, source: str | None) -> Profile | Evaluation:
    """Of a kernel, or of the baseline."""
    adapter = adapter_for(problem_id)
    problem = adapter.problem(problem_id)
    return await adapter.profile(problem, source or adapter.baseline(problem), engine="nkisim-trn1", timeout_s=1200)


def main(chosen: list[str]) -> None:
    print(f"{'kernel':<34}{'published ms':>14}{'estimate ms':>13}{'off by':>9}")
    for name in chosen or list(ROWS):
        problem_id, before, after, kernel = ROWS[name]
        sources = {"baseline": None, kernel: (KERNELS / f"{kernel}.py").read_text()}
        for (label, source), published in zip(sources.items(), (before, after), strict=True):
            result = anyio.run(estimated, problem_id, source)
            if isinstance(result, Evaluation):
                print(f"{name + ' ' + label:<34}{published:>14.3f}  {result.verdict}: {result.message}")
                continue
            estimate = result.latency.value / 1e6
            print(f"{name + ' ' + label:<34}{published:>14.3f}{estimate:>13.3f}{estimate / published - 1:>+9.0%}")


if __name__ == "__main__":
    main(sys.argv[1:])
