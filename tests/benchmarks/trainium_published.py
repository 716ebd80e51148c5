"""Estimates beside published latencies (trn1), for kernels written by us with the same kind of algorithm.

    python tests/benchmarks/trainium_published.py [gemm] [mamba] [conv1d] [attention] [sdattention]

The published kernels' sources are not here: a row compares algorithms, not programs. The first of the convolution has
131,072 instructions, and the product is large: each takes minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from autocomp_mcp.hardware_adapters.base import Evaluation, Profile
from autocomp_mcp.hardware_adapters.registry import adapter_for

KERNELS = Path(__file__).parents[1] / "data" / "trainium"
BASELINE = None
# problem; published ms of the first and of the optimised kernel; our kernels for them
ROWS: dict[str, tuple[str, tuple[float, float], tuple[str | None, str]]] = {
    "mamba": ("trainium/mamba-256x2048x16", (0.636, 0.359), (BASELINE, "mamba_hoisted")),
    "attention": ("trainium/attention-4096x128-bf16", (3.093, 0.293), (BASELINE, "attention_streamed")),
    "sdattention": ("trainium/sdattention-4096x64", (0.558, 0.384), ("sdattention_first", "sdattention_fused")),
    "conv1d": ("trainium/conv1d-8x512x2048x3-same", (8.007, 0.461), ("conv1d_taps_first", "conv1d_taps_wide")),
    "gemm": ("trainium/gemm-4096x8192x8192-bf16", (20.99, 6.96), (BASELINE, "gemm_grouped")),
}


async def estimated(problem_id: str, source: str | None) -> Profile | Evaluation:
    """Of a kernel, or of the baseline."""
    adapter = adapter_for(problem_id)
    problem = adapter.problem(problem_id)
    return await adapter.profile(problem, source or adapter.baseline(problem), engine="nkisim-trn1", timeout_s=1200)


def main(chosen: list[str]) -> None:
    print(f"{'kernel':<34}{'published ms':>14}{'estimate ms':>13}{'off by':>9}")
    for name in chosen or list(ROWS):
        problem_id, latencies, kernels = ROWS[name]
        estimates = []
        for published, kernel in zip(latencies, kernels, strict=True):
            label = f"{name} {kernel or 'baseline'}"
            source = (KERNELS / f"{kernel}.py").read_text() if kernel else None
            result = anyio.run(estimated, problem_id, source)
            if isinstance(result, Evaluation):
                print(f"{label:<34}{published:>14.3f}  {result.verdict}: {result.message}")
                continue
            estimates.append(result.latency.value / 1e6)
            print(
                f"{label:<34}{published:>14.3f}{estimates[-1]:>13.3f}{estimates[-1] / published - 1:>+9.0%}", flush=True
            )
        if len(estimates) == 2:
            print(f"{'':<34}{latencies[0] / latencies[1]:>13.1f}x{estimates[0] / estimates[1]:>12.1f}x")


if __name__ == "__main__":
    main(sys.argv[1:])
