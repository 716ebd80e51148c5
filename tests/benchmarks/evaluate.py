"""How long an evaluation takes, and against what: `python tests/benchmarks/evaluate.py [PROBLEM] [--source FILE]`.

Side by side in one run: an evaluation (compile, simulate, check) as a call on a running MCP server, its result not in
the cache and the simulator built; the same kernel on Spike, where AUTOCOMP_SPIKE or PATH has it. Then what the
simulator gets done per second, how its time grows with the number of commands, and its peak memory.
RTL simulation is not run here: `--rtl-cycles-per-second N` says how fast the user's is.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import anyio
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.gemmini import gemsim
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.embedded import instruction_limit
from autocomp_mcp.hardware_adapters.gemmini.engines import Spike
from autocomp_mcp.hardware_adapters.gemmini.gemm_operator import GemmOperator
from autocomp_mcp.hardware_adapters.gemmini.inputs import input_sets
from autocomp_mcp.hardware_adapters.gemmini.toolchain import compile_kernel, cross_compiler
from autocomp_mcp.hardware_adapters.gemmini.whole_machine import evaluate_on
from autocomp_mcp.hardware_adapters.simulating import generator
from autocomp_mcp.hardware_adapters.store import Home
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

# Baselines whose numbers of commands double from one to the next.
GROWING = ["128x128x512", "256x128x512", "256x256x512", "512x256x512", "512x512x512"]


class OneCallOfSpike(Spike):
    """The least that Spike can do for a kernel: one call on one set of inputs."""

    input_sets = ("full",)
    calls = 1


class Timed(NamedTuple):
    evaluation: Evaluation
    wall_s: float


class Cost(NamedTuple):
    """Of one timed case (two calls) in a simulator process."""

    commands: int
    cycles: int
    cpu_s: float
    peak_mb: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", nargs="?", default="gemmini/gemm-512x512x512")
    parser.add_argument("--source", type=Path, help="a kernel; default: the baseline")
    parser.add_argument("--repeat", type=int, default=5, help="evaluations on the server")
    parser.add_argument(
        "--rtl-cycles-per-second", type=float, metavar="N", help="of an RTL simulation, to compare with"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        adapter = GemminiAdapter(home)
        source = options.source.read_text() if options.source else adapter.baseline(adapter.problem(options.problem))
        runs = anyio.run(on_a_server, Path(folder), options.problem, source, options.repeat)
        report_server(runs)
        used = cpu_of_an_evaluation(adapter, options.problem, source)
        print(f"{'CPU, compiler and simulator included':>36}: {used * 1000:7.1f} ms")
        report_spike(adapter, options.problem, source, median(run.wall_s for run in runs), used)
        report_simulator(runs, cost(adapter, options.problem, source), options.rtl_cycles_per_second)
        report_growth(adapter)


async def on_a_server(folder: Path, problem: str, source: str, repeat: int) -> list[Timed]:
    """Each with a seed of its own; the first, in which the simulator is built, is left out."""
    command = [sys.executable, "-m", "autocomp_mcp", "serve"]
    environment = {**os.environ, "AUTOCOMP_HOME": str(folder)}
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    timed: list[Timed] = []
    async with Client(stdio_client(parameters)) as client:
        for seed in range(repeat + 1):
            started = time.perf_counter()
            arguments = {"problem": problem, "source": source, "seed": seed}
            result = await client.call_tool("simulate_kernel", arguments, read_timeout_seconds=600)
            if result.is_error:
                raise SystemExit(f"the server refused: {result.content}")
            evaluation = Evaluation.model_validate(result.structured_content)
            if not evaluation.passed or evaluation.cached:
                raise SystemExit(f"not an evaluation to time: {evaluation.message}")
            timed.append(Timed(evaluation, time.perf_counter() - started))
    print(f"first call, simulator built: {timed[0].wall_s:.1f} s; {timed[0].evaluation.message}")
    return timed[1:]


def report_server(runs: list[Timed]) -> None:
    whole = median(run.wall_s for run in runs)
    print(
        f"\n(a) evaluation as a call on a running server, median of {len(runs)}, every input set: {whole * 1000:.0f} ms"
    )
    steps = {name: median(run.evaluation.seconds[name] for run in runs) for name in ("compile", "simulate", "check")}
    steps["server, transport and preparation"] = whole - sum(steps.values())
    for name, seconds in steps.items():
        print(f"{name:>36}: {seconds * 1000:7.1f} ms")


def cpu_s() -> float:
    """CPU time of this process and of those it has waited for: comparable where other work shares the processors."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def cpu_of_an_evaluation(adapter: GemminiAdapter, problem: str, source: str) -> float:
    """Least of three, in this process; the first call has built the simulator."""

    async def run(seed: int) -> float:
        before = cpu_s()
        evaluation = await adapter.evaluate(adapter.problem(problem), source, seed=seed, timeout_s=600.0)
        if not evaluation.passed:
            raise SystemExit(evaluation.message)
        return cpu_s() - before

    anyio.run(run, 0)
    return min(anyio.run(run, seed) for seed in range(1, 4))


def report_spike(adapter: GemminiAdapter, problem: str, source: str, ours_s: float, ours_cpu_s: float) -> None:
    found = Spike().availability()
    if not found.available:
        print(f"\n(b) Spike: not compared. {found.reason}")
        return
    for machine, what in (
        (OneCallOfSpike(), "one call on one input set"),
        (Spike(), "every input set, two calls each"),
    ):
        on_spike(adapter, machine, "gemmini/gemm-16x16x16", adapter.baseline(adapter.problem("gemmini/gemm-16x16x16")))
        started, before = time.perf_counter(), cpu_s()
        seconds = on_spike(adapter, machine, problem, source)
        whole, used = time.perf_counter() - started, cpu_s() - before
        print(f"\n(b) {what} on Spike: {whole:.2f} s (compile {seconds['compile']:.2f}, run {seconds['simulate']:.2f})")
        print(f"    (a) is {whole / ours_s:.1f} times faster; by CPU time ({used:.2f} s) {used / ours_cpu_s:.1f} times")


def on_spike(adapter: GemminiAdapter, machine: Spike, problem: str, source: str) -> dict[str, float]:
    described, gemm = adapter.problem(problem), GemmOperator.of(problem)
    rng = generator(described.digest, "benchmark", 0)

    async def run() -> dict[str, float]:
        compiler = cross_compiler()
        outcome = await evaluate_on(
            machine, adapter.home, compiler, described, gemm, lambda: input_sets(gemm, rng), source, rng, 600.0
        )
        if outcome.judged.verdict != "passed":
            raise SystemExit(f"Spike: {outcome.judged.message}")
        return {"compile": outcome.compiled.compilation.seconds, **outcome.seconds}

    return anyio.run(run)


def report_simulator(runs: list[Timed], one: Cost, rtl: float | None) -> None:
    print(f"\n(c) simulator alone, two timed calls: {one.cpu_s:.2f} s of CPU")
    print(f"{one.cycles / one.cpu_s / 1e6:12.2f} million cycles per second")
    print(f"{one.commands / one.cpu_s / 1e6:12.2f} million commands per second")
    if rtl is None:
        print("    RTL simulation was not measured here; --rtl-cycles-per-second N compares with yours")
        return
    cycles, whole = runs[0].evaluation.counters["cycles"] or 0, median(run.wall_s for run in runs)
    print(f"    simulating one call: {one.cycles / one.cpu_s / rtl:,.0f} times RTL simulation at {rtl:,.0f} cycles/s")
    print(f"    a whole evaluation against one call on RTL: {cycles / rtl / whole:,.0f} times")


def report_growth(adapter: GemminiAdapter) -> None:
    print("\n(d) CPU time of two timed calls against commands, (e) peak memory")
    for dims in GROWING:
        problem = f"gemmini/gemm-{dims}"
        one = cost(adapter, problem, adapter.baseline(adapter.problem(problem)))
        each = one.cpu_s / one.commands * 1e6
        peak = "peak not known" if one.peak_mb is None else f"{one.peak_mb:.1f} MB"
        print(f"{dims:>14}: {one.commands:8,} commands {one.cpu_s:7.3f} s {each:6.2f} us each  {peak}")


def cost(adapter: GemminiAdapter, problem: str, source: str) -> Cost:
    """The timed case run once more by itself, in a process whose resources are counted: the best of three."""
    with job(adapter, problem, source) as (program, folder, counted):
        runs = []
        for _ in range(3):
            for output in folder.glob("*.C"):
                output.unlink()
            process = subprocess.Popen([program, "job", "job0"], cwd=folder, stdout=subprocess.DEVNULL)
            peak_mb = watched(process)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"gemsim ended with status {process.returncode}")
            runs.append(Cost(*counted, used.ru_utime + used.ru_stime, peak_mb))
    return min(runs, key=lambda run: run.cpu_s)


def watched(process: subprocess.Popen[bytes]) -> float | None:
    """Peak resident memory in MB until the process ends, but not waited for; None where the system does not tell.

    What a parent is told of a child's peak includes the parent's own, from before the child became another program.
    """
    peak = None
    while True:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            return peak
        high = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        if high is None:  # a zombie has no memory any more
            return peak
        name = re.search(r"^Name:\s+(.*)", status, re.MULTILINE)
        if name and name[1] == "gemsim":
            peak = int(high[1]) / 1024
        time.sleep(0.001)


@contextlib.contextmanager
def job(adapter: GemminiAdapter, problem: str, source: str) -> Iterator[tuple[Path, Path, tuple[int, int]]]:
    """The simulator, a folder with a job that has been run, and the commands and cycles of its timed calls."""
    described, gemm = adapter.problem(problem), GemmOperator.of(problem)
    rng = generator(described.digest, "benchmark", 0)
    sets = input_sets(gemm, rng)
    cases = gemsim.job_cases(gemm.tensors, sets, rng)
    with tempfile.TemporaryDirectory() as scratch:

        async def run() -> tuple[Path, gemsim.Answer]:
            program = await gemsim.simulator(adapter.home)
            compiled = await compile_kernel(adapter.home, cross_compiler(), source)
            if compiled.program is None:
                raise SystemExit(f"the kernel does not compile: {compiled.compilation.diagnostics}")
            results = await gemsim.simulate(
                program, compiled.program, gemm.tensors, cases, sets,
                folder=Path(scratch), limit=instruction_limit(gemm), timeout_s=600.0,
            )  # fmt: skip
            return program, results.answer

        program, answer = anyio.run(run)
        calls = answer.cases[0].calls
        yield program, Path(scratch), (sum(call.commands for call in calls), sum(call.cycles or 0 for call in calls))


if __name__ == "__main__":
    main()
