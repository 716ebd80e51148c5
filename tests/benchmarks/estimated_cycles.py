"""How well tests/fakes/gemm_cycles.py estimates gemsim: `python tests/benchmarks/estimated_cycles.py [--check N]`.

Against gemsim's cycles of 384 kernels in tests/data/gemm_cycles (schedules that offline tuners tried); `--check N`
asks gemsim anew for N of them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import NamedTuple

import anyio
import numpy as np
from autocomp_mcp.hardware_adapters.gemmini import emit
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.families import operator_of
from autocomp_mcp.hardware_adapters.gemmini.schedule import Schedule

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from gemm_cycles import cycles, work

DATA = Path(__file__).parents[1] / "data" / "gemm_cycles" / "kernels.jsonl"


class Known(NamedTuple):
    problem: str
    schedule: Schedule
    cycles: float


def known() -> list[Known]:
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    return [Known(row["problem"], Schedule.model_validate(row["schedule"]), row["cycles"]) for row in rows]


def estimated(kernel: Known) -> float:
    return cycles(work(operator_of(kernel.problem), kernel.schedule), kernel.schedule)


def rank_correlation(one: list[float], other: list[float]) -> float:
    ranks = [np.argsort(np.argsort(values)) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


async def check(kernels: list[Known]) -> None:
    adapter = GemminiAdapter()
    for kernel in kernels:
        source = emit.emit(operator_of(kernel.problem), kernel.schedule)
        evaluation = await adapter.evaluate(adapter.problem(kernel.problem), source)
        assert evaluation.latency is not None, evaluation.message
        print(f"{kernel.problem:28} kept {kernel.cycles:12,.0f}  now {evaluation.latency.value:12,.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=int, default=0, metavar="N")
    args = parser.parse_args()
    rows = known()
    print(f"{'problem':28}{'kernels':>8}{'median error':>14}{'90 % below':>12}{'rank':>7}")
    for problem in dict.fromkeys(row.problem for row in rows):
        mine = [row for row in rows if row.problem == problem]
        guesses = [estimated(row) for row in mine]
        errors = [abs(math.log(guess / row.cycles)) for guess, row in zip(guesses, mine, strict=True)]
        ranks = rank_correlation(guesses, [row.cycles for row in mine])
        print(f"{problem:28}{len(mine):8}{np.median(errors):14.1%}{np.quantile(errors, 0.9):12.1%}{ranks:7.3f}")
    anyio.run(check, rows[:: max(1, len(rows) // args.check)][: args.check] if args.check else [])


if __name__ == "__main__":
    main()
