"""What the sandbox costs: starting a program with each way of confining it, against starting it with limits only.

    python tests/benchmarks/sandbox.py [REPETITIONS]

Prints medians of the wall clock over repetitions that take turns, so that a busy machine disturbs all alike, and the
processor time of the started processes, which others disturb less.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import anyio
from autocomp_mcp.hardware_adapters.process import Limits, minimal_environment, run
from autocomp_mcp.hardware_adapters.sandbox import Reach, devices, interpreter, sandbox
from autocomp_mcp.hardware_adapters.sandbox.layers import MODE_VARIABLE

REACHES: dict[str, Reach | None] = {
    "limits only": None,
    "a compiler or native kernel": Reach(),
    "an interpreter, no processes": interpreter(),
    "a vendor's software": devices("null"),
}


class Cost(NamedTuple):
    wall_ms: float
    cpu_ms: float


async def once(reach: Reach | None, folder: Path) -> Cost:
    before = os.times()
    started = time.perf_counter()
    done = await run(["/bin/true"], cwd=folder, env=minimal_environment(folder), limits=Limits(), reach=reach)
    assert done.returncode == 0, done
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(1e3 * (time.perf_counter() - started), 1e3 * spent)


async def main(repetitions: int) -> None:
    for way in ("own", "bubblewrap"):
        os.environ[MODE_VARIABLE] = way
        found = await sandbox()
        if found.way != way:
            print(f"{way}: not to be had on this machine ({', '.join(found.missing) or 'not installed'})")
            continue
        times: dict[str, list[Cost]] = {name: [] for name in REACHES}
        with tempfile.TemporaryDirectory() as scratch:
            for _ in range(repetitions):
                for name, reach in REACHES.items():
                    times[name].append(await once(reach, Path(scratch)))
        costs = {
            name: Cost(statistics.median(cost.wall_ms for cost in each), statistics.mean(cost.cpu_ms for cost in each))
            for name, each in times.items()
        }
        plain = costs["limits only"]
        print(
            f"{way}: {repetitions} starts each, ms: wall clock (median), more than with limits; processor (mean), more"
        )
        for name, cost in costs.items():
            more = cost.wall_ms - plain.wall_ms, cost.cpu_ms - plain.cpu_ms
            print(f"  {name:<30} {cost.wall_ms:6.2f} {more[0]:+6.2f}   {cost.cpu_ms:6.2f} {more[1]:+6.2f}")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 100)
