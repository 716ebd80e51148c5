"""The offline tuner against Gemmini's hardware loop.

    python tests/benchmarks/offline_tuner.py [SUITE] [--only TEXT] [--timeout S]

For every problem of the suite, or those with TEXT in their ids: cycles of the hardware loop (LOOP_WS, LOOP_CONV_WS),
and of the best kernel that `autocomp-mcp optimize --model offline` finds in the time given, both by gemsim's model, and
their ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def command(*arguments: object) -> str:
    """Standard output of an autocomp-mcp command."""
    line = [sys.executable, "-m", "autocomp_mcp", *map(str, arguments)]
    return subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def suite_problems(suite: str) -> list[str]:
    listed: dict[str, Any] = json.loads(command("problems", "--suite", suite, "--json"))
    return [entry["id"] for entry in listed["problems"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="?", default="autocomp-gemm", help="name, as `autocomp-mcp problems` lists them")
    parser.add_argument("--only", default="", help="a part of the ids of the problems to run (default: all)")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for each search (default 180)")
    args = parser.parse_args()
    print(f"{'problem':52}{'hardware loop':>14}{'tuner':>12}{'speed':>8}{'of bound':>10}{'evaluations':>13}{'s':>6}")
    for problem in (found for found in suite_problems(args.suite) if args.only in found):
        with tempfile.TemporaryDirectory() as folder:
            kernel = Path(folder) / "reference.c"
            kernel.write_text(command("problems", "--reference", problem))
            loop = json.loads(command("evaluate", problem, kernel, "--json"))["latency"]["value"]
        run = json.loads(command("optimize", problem, "--model", "offline", "--timeout", args.timeout, "--json"))
        best, share = run["best"]["latency"], run["best"]["utilisation"]
        print(
            f"{problem:52}{loop:14,.0f}{best:12,.0f}{loop / best:8.1%}{share:10.1%}{run['evaluations']:13}"
            f"{run['wall_s']:6.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
