"""Which of the search's features pay: `python tests/benchmarks/ablation.py [--seeds N] [--landscape gemsim] [...]`.

Runs of the whole search, through the controller, on the six published GEMM shapes, with a synthetic language model
(tests/fakes/synthetic_model.py): the published preset, the defaults, and the defaults with one feature off each. For
every variant: evaluations and model calls until 90 % of the final speed-up (final: the best that any variant found on
that shape with that seed), relative to the default and with intervals; the evaluations of the whole run; and the
utilisation at the end. Where a variant has a slow engine, the evaluations are those of that engine.

Kernels are judged by an estimate of gemsim's cycles (tests/fakes/gemm_cycles.py), or by gemsim itself with
`--landscape gemsim`: a second for each kernel, remembered in --home.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import anyio
import numpy as np
from autocomp_mcp.agent.calls import ClientCalls
from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.models.base import Models
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.gemmini.suites import SUITES

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from gemm_tools import SLOW, GemmTools
from synthetic_model import HABITS, Habits, SyntheticModels

SHAPES = SUITES["autocomp-gemm"].problems
WORTH = 0.9  # of the final speed-up
NEVER = 1 + 15 * 6 * 6 * 2  # evaluations of the published preset: what a run counts as that never gets there
RESAMPLES = 2000


class Variant(NamedTuple):
    name: str
    preset: str
    changes: Mapping[str, Any] = MappingProxyType({})
    after: bool = False  # after a run on another shape of the suite, in the same home
    weak: bool = False  # a second model, which fails more often and costs more, has half of the weight


VARIANTS = (
    Variant("published preset", "autocomp-gemmini"),
    Variant("default", "llm"),
    Variant("menu_choice random", "llm", {"menu_choice": "random"}),
    Variant("feedback reduced", "llm", {"feedback": ("latency", "utilisation")}),
    Variant("duplicates evaluated", "llm", {"duplicates": "evaluate"}),
    Variant("no repairs", "llm", {"repairs": 0}),
    Variant("one_phase", "llm", {"one_phase": True}),
    Variant("stop at 97 %", "llm", {"stop_utilisation": 0.97}),
    Variant("slow engine", "llm", {"engine": SLOW}),
    Variant("slow engine, no screen", "llm", {"engine": SLOW, "screen": False}),
    Variant("2 codes per plan", "llm", {"codes": 2}),
    Variant("published, small steps", "autocomp-gemmini", {"plans": 4, "codes": 1, "beam": 3, "iterations": 40}),
    Variant("default, large steps", "llm", {"plans": 6, "codes": 2, "beam": 6, "patience": None, "iterations": 12}),
    Variant("2 models", "llm", {}, weak=True),
    Variant("2 models, by weight", "llm", {"model_choice": "weights"}, weak=True),
    Variant("later, reuse auto", "llm", {}, after=True),
    Variant("later, reuse none", "llm", {"reuse": "none"}, after=True),
    Variant("later, examples 0", "llm", {"reuse": "none", "examples": 0}, after=True),
    Variant("offline", "offline"),
    Variant("offline, random menu", "offline", {"menu_choice": "random"}),
)


class Cell(NamedTuple):
    """One run to be made."""

    variant: int
    shape: str
    seed: int


class Run(NamedTuple):
    cell: Cell
    curve: list[tuple[int, int, float]]  # evaluations, model calls, best latency: each time it gets better
    evaluations: int
    calls: int
    utilisation: float


async def one(cell: Cell, landscape: str, home: Path | None, habits: Habits) -> Run:
    variant = VARIANTS[cell.variant]
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        journal = Journal(Path(folder) / "runs.db")
        async with _toolbox(landscape, home) as toolbox:

            async def ran(shape: str, preset: str, seed: int, changes: Mapping[str, Any]) -> str:
                models: Models = SyntheticModels(toolbox, habits, with_weak=variant.weak)
                if preset == "offline":
                    models = make_models("offline", toolbox)
                given = {"timeout_s": None, "seed": seed, "stop_utilisation": 1.0, **changes}
                settings = SearchSettings.for_model(models.spec, preset, **given)
                where = {"journal": journal, "runs_dir": Path(folder)}
                status = await search(shape, settings, toolbox=toolbox, models=models, **where)
                assert status.state == "finished", status.stop_reason
                return status.run_id

            if variant.after:
                other = SHAPES[(SHAPES.index(cell.shape) + 1) % len(SHAPES)] if cell.shape in SHAPES else SHAPES[0]
                await ran(other, "llm", cell.seed + 1000, {})
            run_id = await ran(cell.shape, variant.preset, cell.seed, variant.changes)
        return _read(cell, journal, run_id)


def _read(cell: Cell, journal: Journal, run_id: str) -> Run:
    best, evaluations, calls, used = math.inf, 0, 0, 0.0
    curve: list[tuple[int, int, float]] = []
    engine = VARIANTS[cell.variant].changes.get("engine", "gemsim")
    for event in journal.events(run_id):
        data = event["data"]
        calls += event["kind"] == "model"
        if event["kind"] != "candidate" or data["duplicate_of"]:
            continue
        result = data["evaluation"]
        evaluations += result["engine"] == engine  # what was stopped by a quicker engine took none of its time
        if result["verdict"] == "passed" and result["latency"]["value"] < best:
            best, used = result["latency"]["value"], result["utilisation"]
            curve.append((evaluations, calls, best))
    return Run(cell, curve, evaluations, calls, used)


@asynccontextmanager
async def _toolbox(landscape: str, home: Path | None) -> AsyncIterator[Toolbox]:
    if landscape == "estimate":
        yield Toolbox(ClientCalls(GemmTools()))  # pyright: ignore[reportArgumentType]
        return
    from autocomp_mcp.hardware_adapters.store import Home
    from autocomp_mcp.server.app import build_server
    from autocomp_mcp.tools.bench import Bench

    async with Toolbox.connect(build_server(Bench(Home(home)))) as toolbox:
        yield toolbox


def _memory() -> str | None:
    """A folder in memory for journals that nobody keeps, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def work(job: tuple[Cell, str, Path | None, Habits]) -> Run:
    return anyio.run(one, *job)


# ---------------------------------------------------------------- figures


def reached(run: Run, final: float) -> tuple[int, int] | None:
    """Evaluations and model calls until the latency that is worth 90 % of the final speed-up."""
    return next(((n, calls) for n, calls, best in run.curve if best <= final / WORTH), None)


class Figures(NamedTuple):
    evaluations: dict[tuple[str, int], int]  # by shape and seed
    calls: dict[tuple[str, int], int]
    arrived: float  # share of runs that got there
    utilisation: dict[tuple[str, int], float]
    whole: dict[tuple[str, int], int]  # evaluations of the whole run


def figures(runs: Sequence[Run]) -> dict[int, Figures]:
    finals: dict[tuple[str, int], float] = {}
    for run in runs:
        place = (run.cell.shape, run.cell.seed)
        finals[place] = min(finals.get(place, math.inf), run.curve[-1][2])
    found: dict[int, Figures] = {}
    for index in dict.fromkeys(run.cell.variant for run in runs):
        mine = {(run.cell.shape, run.cell.seed): run for run in runs if run.cell.variant == index}
        got = {place: reached(run, finals[place]) for place, run in mine.items()}
        found[index] = Figures(
            evaluations={place: pair[0] if pair else NEVER for place, pair in got.items()},
            calls={place: pair[1] if pair else NEVER for place, pair in got.items()},
            arrived=sum(pair is not None for pair in got.values()) / len(got),
            utilisation={place: run.utilisation for place, run in mine.items()},
            whole={place: run.evaluations for place, run in mine.items()},
        )
    return found


class Interval(NamedTuple):
    value: float
    low: float
    high: float

    def text(self, form: str) -> str:
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


def geomean(values: dict[tuple[str, int], float], below: dict[tuple[str, int], float] | None = None) -> Interval:
    """Geometric mean, of ratios to `below` where it is given; 95 % by resampling the pairs of shape and seed."""
    logs = np.array([math.log(value / (below[place] if below else 1.0)) for place, value in values.items()])
    rng = np.random.default_rng(0)
    drawn = [np.exp(rng.choice(logs, len(logs)).mean()) for _ in range(RESAMPLES)]
    return Interval(float(np.exp(logs.mean())), *(float(q) for q in np.quantile(drawn, (0.025, 0.975))))


def report(runs: Sequence[Run]) -> list[str]:
    found = figures(runs)
    default = next(index for index in found if VARIANTS[index].name == "default")
    lines = [
        f"{'variant':24}{'evaluations to 90 %':>24}{'of the default':>22}{'model calls to 90 %':>24}"
        f"{'arrived':>9}{'in all':>8}{'utilisation at the end':>28}"
    ]
    for index, figure in found.items():
        ratio = geomean(figure.evaluations, found[default].evaluations).text(".2f")
        lines.append(
            f"{VARIANTS[index].name:24}{geomean(figure.evaluations).text('.0f'):>24}{ratio:>22}"
            f"{geomean(figure.calls).text('.0f'):>24}{figure.arrived:9.0%}{geomean(figure.whole).value:8.0f}"
            f"{geomean(figure.utilisation).text('.1%'):>28}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--variants", nargs="*", default=[v.name for v in VARIANTS], metavar="NAME")
    parser.add_argument("--landscape", choices=["estimate", "gemsim"], default="estimate")
    parser.add_argument("--home", type=Path, help="folder in which evaluations by gemsim are remembered")
    parser.add_argument("--habits", type=json.loads, default={}, help="changes to the model's habits, JSON")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    known = [v.name for v in VARIANTS]
    chosen = [index for index, name in enumerate(known) if name in {*args.variants, "default"}]
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    cells = [Cell(index, shape, seed) for seed in seeds for shape in args.shapes for index in chosen]
    jobs = [(cell, args.landscape, args.home, HABITS._replace(**args.habits)) for cell in cells]
    began = time.monotonic()
    if args.jobs == 1:
        runs = [work(job) for job in jobs]
    else:
        with ProcessPoolExecutor(args.jobs) as pool:
            runs = list(pool.map(work, jobs))
    print(f"{len(runs)} runs, {args.seeds} seeds, {len(args.shapes)} shapes, {time.monotonic() - began:.0f} s")
    print("\n".join(report(runs)))


if __name__ == "__main__":
    main()
