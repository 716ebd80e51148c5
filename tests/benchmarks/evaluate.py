"""How long an evaluation takes: `python tests/benchmarks/evaluate.py [PROBLEM] [--source FILE] [--repeat N]`.

Prints the times of compiling, simulating and checking, and how much the simulator gets done per second. Where
riscv64-unknown-elf-gcc and Spike with the Gemmini extension are installed, compare with one run of theirs by hand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import anyio
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.store import Home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem", nargs="?", default="gemmini/gemm-512x512x512")
    parser.add_argument("--source", type=Path, help="a kernel; default: the baseline")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        adapter = GemminiAdapter(Home(Path(folder)))
        problem = adapter.problem(options.problem)
        source = options.source.read_text() if options.source else adapter.baseline(problem)
        started = time.perf_counter()
        first = evaluate(adapter, options.problem, source, 0)
        print(f"first call, simulator built: {time.perf_counter() - started:.2f} s; {first.message}")
        runs = []
        for seed in range(1, options.repeat + 1):
            started = time.perf_counter()
            result = evaluate(adapter, options.problem, source, seed)
            runs.append((result, time.perf_counter() - started))
    report(runs)


def evaluate(adapter: GemminiAdapter, problem: str, source: str, seed: int) -> Evaluation:
    async def run() -> Evaluation:
        return await adapter.evaluate(adapter.problem(problem), source, seed=seed)

    return anyio.run(run)


def report(runs: list[tuple[Evaluation, float]]) -> None:
    """Median times; rates count the four calls of an evaluation (two timed, two functional)."""
    for step in ("compile", "simulate", "check"):
        print(f"{step:>10}: {median(run.seconds[step] for run, _ in runs) * 1000:8.1f} ms")
    print(f"{'whole':>10}: {median(wall for _, wall in runs) * 1000:8.1f} ms")
    counters = runs[0][0].counters
    seconds = median(run.seconds["simulate"] for run, _ in runs)
    for name, label in (("instret", "instructions"), ("commands", "commands"), ("cycles", "cycles (timed calls only)")):
        calls = 2 if name == "cycles" else 4
        print(f"{(counters.get(name) or 0) * calls / seconds / 1e6:10.2f} million {label} per second")


if __name__ == "__main__":
    main()
