"""Published times of a ladder of SGEMM kernels beside the estimate of the engine `cpu` for kernels of the same kind.

    python tests/benchmarks/nvidia_ladder.py [--size 4092]

Published: GFLOP/s at 4092 on an RTX A6000, of the README of the repository siboehm/SGEMM_CUDA (the worklog "How to
Optimize a CUDA Matmul Kernel"). Its text and code are not used: the kernels in `nvidia_ladder/` are ours, of the same
block sizes, tiles and layouts. Each is checked as any candidate is. With nvcc on the machine, registers and merged
loads count too.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

import anyio
from autocomp_mcp.hardware_adapters.nvidia.embedded import evaluate_on_cpu
from autocomp_mcp.hardware_adapters.nvidia.families import operator_of
from autocomp_mcp.hardware_adapters.nvidia.machines import VARIABLE
from autocomp_mcp.hardware_adapters.nvidia.operators import describe
from autocomp_mcp.hardware_adapters.store import Home

FOLDER = Path(__file__).with_name("nvidia_ladder")
PUBLISHED = {
    "1_rows": 309.0,
    "2_coalesced": 1986.5,
    "3_shared": 2980.3,
    "4_column_per_thread": 8474.7,
    "5_tile_per_thread": 15971.7,
    "6_vectors": 18237.3,
}
BASE = "2_coalesced"


class Estimated(NamedTuple):
    gflops: float
    unit: str  # the longest


async def estimated(name: str, size: int) -> Estimated:
    operator = operator_of(f"nvidia/sgemm-{size}x{size}x{size}")
    source = (FOLDER / f"{name}.cu").read_text(encoding="utf-8")
    run = await evaluate_on_cpu(Home(), None, describe(operator), source, 1, 600.0)
    if run.estimate is None:
        raise SystemExit(f"{name}: {run.evaluation.verdict}: {run.evaluation.message}")
    units = run.estimate.units
    return Estimated(operator.flops / run.estimate.latency_ns, max(units, key=lambda unit: units[unit]))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4092, help="of the square matrices (published: %(default)s)")
    size = parser.parse_args().size
    os.environ.setdefault(VARIABLE, "a6000")
    found = {name: await estimated(name, size) for name in PUBLISHED}
    print("| kernel | published, GFLOP/s | estimated | published, x coalesced | estimated | longest unit |")
    print("|---|---|---|---|---|---|")
    for name, published in PUBLISHED.items():
        ours = found[name]
        ratios = f"{published / PUBLISHED[BASE]:.2f} | {ours.gflops / found[BASE].gflops:.2f}"
        print(f"| `{name}` | {published:,.0f} | {ours.gflops:,.0f} | {ratios} | `{ours.unit}` |")


if __name__ == "__main__":
    anyio.run(main)
