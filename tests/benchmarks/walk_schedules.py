"""How far single rewrites get: from the baseline by profile, then option, then variant, taking the first that helps.

Not a test: prints the walk. `python tests/benchmarks/walk_schedules.py [PROBLEM ...]`, the published shapes by default.
"""

from __future__ import annotations

import sys
import time

import anyio
from autocomp_mcp.hardware_adapters.base import Profile
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.problems import PUBLISHED
from autocomp_mcp.menus.menu import load_menu

VARIANTS_TRIED = 2  # of each option
WORTH_TAKING = 0.995


async def walk(adapter: GemminiAdapter, problem_id: str) -> None:
    menu = load_menu(adapter.target)
    problem = adapter.problem(problem_id)
    source = adapter.baseline(problem)
    started, tried = time.monotonic(), 0
    step = "baseline"
    while True:
        profile = await adapter.profile(problem, source)
        if not isinstance(profile, Profile):
            raise SystemExit(f"{step}: {profile.message}")
        names = [bottleneck.id for bottleneck in profile.bottlenecks]
        seconds = time.monotonic() - started
        print(f"{profile.utilisation:7.1%} {tried:4d} tried {seconds:6.1f} s  {step:45s} {' '.join(names)}", flush=True)
        for option in menu.select(problem.family, names, problem.traits):
            better = None
            for rewrite in adapter.rewrites(problem, source, option.id)[:VARIANTS_TRIED]:
                candidate = adapter.rewrite(problem, source, option.id, rewrite.name)
                evaluation = await adapter.evaluate(problem, candidate)
                tried += 1
                if not evaluation.passed or evaluation.latency is None:
                    raise SystemExit(f"{option.id}:{rewrite.name} {evaluation.message}")
                if evaluation.latency.value < WORTH_TAKING * profile.latency.value:
                    better, step = candidate, f"{option.id}:{rewrite.name}"
                    break
            if better:
                source = better
                break
        else:
            print(source.partition("\n")[0])
            return


async def main() -> None:
    adapter = GemminiAdapter()
    for problem_id in sys.argv[1:] or [f"gemmini/gemm-{m}x{n}x{k}" for m, n, k in PUBLISHED]:
        print(problem_id)
        await walk(adapter, problem_id)


if __name__ == "__main__":
    anyio.run(main)
