"""What became of the plans and codes of runs: `python tests/benchmarks/run_figures.py RUN [RUN ...]`.

For each run of this home (AUTOCOMP_HOME): the share of plans that name an option of their menu, of codes that compile,
pass, and gain over their parent; tokens per evaluation; best utilisation against evaluations.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from autocomp_mcp.agent.errors import UnknownRunError
from autocomp_mcp.agent.runs.candidate import ROOT
from autocomp_mcp.agent.runs.history import Entry, history
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import Tokens
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.commands.reading import find_run

NOT_COMPILED = ("compile_error", "rejected")
MOMENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # evaluations, the first kernel's among them


class Figures(NamedTuple):
    plans: int  # answers that were to be plans
    usable: int  # of those, with an option of the menu
    codes: int  # answers that were to be kernels
    kernels: int  # of those, with a kernel (one that repeats an earlier one included)
    compiled: int
    passed: int
    gained: int  # of those that passed, faster than the parent
    tokens: int
    evaluations: int
    curve: dict[int, float]  # evaluations -> best utilisation so far

    def share(self, part: int, whole: int) -> str:
        return f"{part:4d} of {whole:<4d} {part / whole:6.1%}" if whole else f"{part:4d} of {whole:<4d}      -"


def figures(events: list[dict[str, Any]]) -> Figures:
    replies = [(event["key"].split("/")[0], event["data"]["reply"]) for event in events if event["kind"] == "model"]
    plans = [reply for phase, reply in replies if phase == "plan"]
    codes = [reply for phase, reply in replies if phase == "code"]
    made = [entry for entry in history(events) if entry.candidate != ROOT]
    tokens = sum(Tokens.model_validate(reply["usage"]).total for _, reply in replies)
    everything = history(events)
    evaluated = [entry for entry in everything if entry.duplicate_of is None]
    return Figures(
        plans=len(plans),
        usable=sum(reply["plan"] is not None for reply in plans),
        codes=len(codes),
        kernels=len(made),
        compiled=sum(_verdict(entry) not in NOT_COMPILED for entry in made),
        passed=sum(_verdict(entry) == "passed" for entry in made),
        gained=sum(entry.ratio is not None and entry.ratio > 1.0 for entry in made),
        tokens=tokens,
        evaluations=len(evaluated),
        curve=_curve(evaluated),
    )


def _verdict(entry: Entry) -> str:
    """A duplicate has that of the kernel it repeats."""
    return "passed" if entry.latency is not None else entry.verdict


def _curve(evaluated: list[Entry]) -> dict[int, float]:
    best, curve = 0.0, {}
    for number, entry in enumerate(evaluated, 1):
        best = max(best, entry.utilisation or 0.0)
        if number in MOMENTS or number == len(evaluated):
            curve[number] = best
    return curve


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    journal = Journal(Home().database)
    for name in sys.argv[1:]:
        try:
            status = journal.status(find_run(journal, name))
        except UnknownRunError as error:
            raise SystemExit(str(error)) from error
        f = figures(journal.events(status.run_id))
        speedup = f"{status.speedup:.2f}x" if status.speedup else "no kernel"
        print(f"{status.problem}, {status.model}: {speedup}, {status.model_calls} calls, {f.evaluations} evaluations")
        print(f"  plans that name an option of their menu  {f.share(f.usable, f.plans)}")
        print(f"  codes: answers with a kernel             {f.share(f.kernels, f.codes)}")
        print(f"         kernels that compile              {f.share(f.compiled, f.kernels)}")
        print(f"         kernels that pass                 {f.share(f.passed, f.kernels)}")
        print(f"         kernels faster than their parent  {f.share(f.gained, f.kernels)}")
        print(f"  tokens per evaluation                    {f.tokens / max(1, f.evaluations):,.0f}")
        print("  best utilisation after evaluations       " + "  ".join(f"{n}: {u:.1%}" for n, u in f.curve.items()))


if __name__ == "__main__":
    main()
