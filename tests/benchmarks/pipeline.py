"""How long an iteration takes against the shortest it could: `python tests/benchmarks/pipeline.py [--seeds N]`.

Whole searches on a virtual clock, with model calls and evaluations that take log-normal times. Three figures for each
iteration, from the same times: what the pipeline took; the critical path, which no order of work is faster than: the
longest chain of plan, code, evaluation and repair, or the work per slot of the models or of the engine, whichever is
longer (engines cannot begin before the first codes exist, models not end with the last evaluations); and what phases
with barriers between them would take (all plans, all codes, all evaluations, then the repairs), greedily in order.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import anyio
import numpy as np
import trio.testing
from autocomp_mcp.agent.calls import ClientCalls
from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.models.base import CodeReply, CodeRequest, PlanReply, PlanRequest
from autocomp_mcp.agent.runs.events import SearchEvent
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.base import kernel_digest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from gemm_tools import GemmTools
from synthetic_model import SyntheticModels

PROBLEM = "gemmini/gemm-512x512x512"
ITERATIONS = 4
RESAMPLES = 2000


class Regime(NamedTuple):
    """Medians of the latencies in seconds, and slots."""

    name: str
    plan_s: float
    code_s: float
    evaluate_s: float
    models: int
    engines: int


REGIMES = (
    Regime("no limits", 20.0, 40.0, 10.0, 64, 256),
    Regime("default slots, fast engine", 20.0, 40.0, 1.0, 8, 2),
    Regime("default slots, slow engine", 20.0, 40.0, 20.0, 8, 2),
    Regime("models and engine alike", 20.0, 40.0, 10.0, 8, 2),
)
SPREAD = 0.5  # of the latencies' logarithms


class Times(NamedTuple):
    seed: int
    regime: Regime

    def of(self, kind: str, key: str) -> float:
        """The same whenever it is asked: of a call by its key, of an evaluation by its kernel."""
        median = {"plan": self.regime.plan_s, "code": self.regime.code_s, "evaluate": self.regime.evaluate_s}[kind]
        return Random(f"{self.seed}/{kind}/{key}").lognormvariate(math.log(median), SPREAD)


class SlowModels(SyntheticModels):
    def __init__(self, toolbox: Toolbox, times: Times) -> None:
        super().__init__(toolbox)
        self._times = times

    async def plan(self, request: PlanRequest) -> PlanReply:
        await anyio.sleep(self._times.of("plan", f"{request.key}/{request.attempt}"))
        return await super().plan(request)

    async def generate(self, request: CodeRequest) -> CodeReply:
        await anyio.sleep(self._times.of("code", f"{request.key}/{request.attempt}"))
        return await super().generate(request)


class SlowTools(GemmTools):
    def __init__(self, times: Times) -> None:
        super().__init__()
        self._times = times

    async def call_tool(self, name: str, arguments: dict[str, Any], **more: Any) -> Any:
        if name == "simulate_kernel":
            await anyio.sleep(self._times.of("evaluate", kernel_digest(arguments["source"])))
        return await super().call_tool(name, arguments, **more)


class Iteration(NamedTuple):
    pipeline: float  # seconds
    critical: float
    barrier: float


def greedy(durations: Iterable[float], slots: int) -> float:
    """Seconds until all are done, each begun as soon as one of the slots is free."""
    free = [0.0] * slots
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def filled(work: Sequence[float], idle: Sequence[float], slots: int) -> float:
    """Seconds that the work takes at least, where each slot is idle for one of `idle` at its beginning or end."""
    used = min(slots, len(work))
    return (sum(work) + sum(sorted(idle)[:used])) / slots if used == slots else max(work, default=0.0)


def bounds(events: Sequence[dict[str, Any]], iteration: int, times: Times) -> tuple[float, float]:
    """Critical path and time with barriers of one iteration, in seconds."""
    plans: dict[str, float] = defaultdict(float)
    chains: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))  # plan -> code -> seconds
    phases: dict[tuple[int, str], list[float]] = defaultdict(list)  # (repair, kind) -> seconds
    ready: list[float] = []  # when a code can exist at the earliest
    after: list[float] = []  # what has to follow a call of the model at least
    for event in events:
        kind, _, name = (event["key"] or "").partition("/")
        if kind not in ("plan", "code", "candidate") or name.partition(".")[0] != str(iteration):
            continue
        place = name.partition("/")[0]
        code, _, repair = place.partition("r")
        if kind == "plan":
            plans[place] += times.of("plan", name)
            phases[0, kind].append(times.of("plan", name))
            continue
        if kind == "candidate" and event["data"]["duplicate_of"]:
            after.append(0.0)
            continue
        took = times.of("code", name) if kind == "code" else times.of("evaluate", kernel_digest(event["source"]))
        if kind == "candidate":
            ready.append(plans[code.rpartition(".")[0]] + chains[code.rpartition(".")[0]][code])
            after.append(took)
        chains[code.rpartition(".")[0]][code] += took
        phases[int(repair or 0), kind].append(took)
    longest = max(plans[plan] + max(chains[plan].values(), default=0.0) for plan in plans)
    asked = [took for (_, kind), durations in phases.items() if kind != "candidate" for took in durations]
    judged = [took for (_, kind), durations in phases.items() if kind == "candidate" for took in durations]
    slots = {"plan": times.regime.models, "code": times.regime.models, "candidate": times.regime.engines}
    barrier = sum(greedy(durations, slots[kind]) for (_, kind), durations in phases.items())
    models, engine = filled(asked, after, slots["code"]), filled(judged, ready, slots["candidate"])
    return max(longest, models, engine), barrier


async def run(times: Times, preset: str, iterations: int) -> list[Iteration]:
    began: dict[int, float] = {}
    ended: dict[int, float] = {}

    def listen(event: SearchEvent) -> None:
        if event.kind == "phase":
            (ended if event.phase == "select" else began).setdefault(event.iteration, anyio.current_time())

    slots = {"max_parallel_model": times.regime.models, "max_parallel_engine": times.regime.engines}
    given = {"seed": times.seed, "iterations": iterations, "stop_utilisation": 1.0, "timeout_s": None, **slots}
    toolbox = Toolbox(ClientCalls(SlowTools(times)), call_timeout_s=math.inf)  # pyright: ignore[reportArgumentType]
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "runs.db")
        settings = SearchSettings.for_model("synthetic", preset, **given)
        models = SlowModels(toolbox, times)
        where = {"journal": journal, "runs_dir": Path(folder), "listener": listen}
        status = await search(PROBLEM, settings, toolbox=toolbox, models=models, **where)
        events = journal.events(status.run_id, sources=True)
    return [Iteration(ended[n] - began[n], *bounds(events, n, times)) for n in sorted(ended)]


def measured(times: Times, preset: str, iterations: int = ITERATIONS) -> list[Iteration]:
    """On a clock that moves on by itself once all tasks wait."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return anyio.run(run, times, preset, iterations, backend="trio", backend_options={"clock": clock})


def interval(values: Sequence[float]) -> str:
    rng = np.random.default_rng(0)
    means = [float(np.mean(rng.choice(values, len(values)))) for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--presets", nargs="*", default=["llm", "autocomp-gemmini"])
    args = parser.parse_args()
    print(f"{args.seeds} seeds, {ITERATIONS} iterations each; means with 95 % intervals")
    print(f"{'preset':18}{'regime':28}{'pipeline / critical path':>26}{'worst':>7}{'barriers / pipeline':>24}")
    for preset in args.presets:
        for regime in REGIMES:
            found = [one for seed in range(args.seeds) for one in measured(Times(seed, regime), preset)]
            ratios = [one.pipeline / one.critical for one in found]
            gains = interval([one.barrier / one.pipeline for one in found])
            print(f"{preset:18}{regime.name:28}{interval(ratios):>26}{max(ratios):7.2f}{gains:>24}", flush=True)


if __name__ == "__main__":
    main()
