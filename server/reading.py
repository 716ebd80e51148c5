"""runs and show: what the journal holds, for a person or as JSON."""

from __future__ import annotations

from typing import Any

from ..agent.errors import AgentUsageError, UnknownRunError
from ..agent.journal import Journal
from ..agent.status import Mark, RunStatus
from ..hardware_adapters.store import Home
from .shell import DONE, emit, guarded


def find_run(journal: Journal, name: str) -> str:
    """A run's id from its id, a unique beginning of it, or `last`. Raises UnknownRunError."""
    ids = [status.run_id for status in journal.runs()]
    if name == "last" and ids:
        return max(ids)
    matching = [run_id for run_id in ids if run_id.startswith(name)]
    if name in ids or len(matching) == 1:
        return name if name in ids else matching[0]
    raise UnknownRunError(name)


def runs(as_json: bool) -> int:
    def command() -> int:
        listed = sorted(Journal(Home().database).runs(), key=lambda status: status.run_id, reverse=True)
        if as_json:
            emit({"runs": [status_json(status, None) for status in listed]})
            return DONE
        if not listed:
            print("no runs yet; begin with: autocomp-mcp optimize gemmini/gemm-512x512x512")
        for s in listed:
            gain = f"{s.speedup:.2f}x" if s.speedup else "-"
            print(f"{s.run_id}  {s.state:<11}  {gain:>8}  {s.evaluations:>5} evaluations  {s.model:<10}  {s.problem}")
        return DONE

    return guarded(command, as_json)


def show(run: str, source: bool, as_json: bool) -> int:
    def command() -> int:
        home = Home()
        journal = Journal(home.database)
        status = journal.status(find_run(journal, run))
        if as_json:
            emit(status_json(status, home) | {"lineage": [step.model_dump() for step in status.lineage]})
        elif source:
            if status.best_source is None:
                raise AgentUsageError(f"run {status.run_id} has no kernel that passes its evaluation yet")
            print(status.best_source, end="")
        else:
            print("\n".join(summary_lines(status, home)))
        return DONE

    return guarded(command, as_json)


def best_path(status: RunStatus, home: Home | None) -> str | None:
    path = home and home.path / "runs" / status.run_id / "best.c"
    return str(path) if path and path.exists() else None


def status_json(status: RunStatus, home: Home | None) -> dict[str, Any]:
    """The object that `optimize --json` ends with."""

    def mark(m: Mark | None) -> dict[str, Any] | None:
        return m and {"latency": m.latency, "unit": m.unit, "utilisation": m.utilisation, "source": m.source}

    best = mark(status.best)
    if best is not None and status.best is not None:
        best |= {"candidate": status.best.candidate, "source_path": best_path(status, home)}
    return {
        "run_id": status.run_id, "problem": status.problem, "engine": status.engine, "model": status.model,
        "state": status.state, "baseline": mark(status.baseline), "best": best, "speedup": status.speedup,
        "evaluations": status.evaluations, "model_calls": status.model_calls,
        "tokens": status.tokens.model_dump(), "cost_usd": status.cost_usd, "wall_s": status.wall_s,
        "stop_reason": status.stop_reason,
        "confirmations": [found.model_dump() for found in status.confirmations],
    }  # fmt: skip


def summary_lines(status: RunStatus, home: Home) -> list[str]:
    lines = [f"{status.problem}  run {status.run_id}  {status.state}: {status.stop_reason or 'still running'}"]
    if status.baseline is None or (status.best is None and not status.confirmations):
        return [*lines, "no kernel passed its evaluation"]
    if status.best is None:
        return [*lines, "", *confirmation_lines(status), "", f"baseline   {_mark(status.baseline)}", "best       none"]
    lines += ["", *lineage_lines(status), ""]
    lines.append(f"baseline   {_mark(status.baseline)}")
    lines.append(f"best       {_mark(status.best)}")
    if trust := _trust(status):
        lines.append(f"           {trust}")
    lines.append(f"speed-up   {status.speedup:.2f}x")
    lines += confirmation_lines(status)
    cost = "price not known" if status.cost_usd is None else f"{status.cost_usd:.2f} USD"
    lines.append(
        f"spent      {status.evaluations} evaluations, {status.model_calls} model calls, {cost}, {status.wall_s:.0f} s"
    )
    if path := best_path(status, home):
        lines.append(f"kernel     {path}")
    return [*lines, f"more       autocomp-mcp show {status.run_id} --source"]


def lineage_lines(status: RunStatus) -> list[str]:
    """Each step to the best kernel with its gain over the step before."""
    lines = []
    before: float | None = None
    for step in status.lineage:
        gain = f"{before / step.latency:6.2f}x" if before and step.latency else "       "
        latency = f"{step.latency:>12,.0f}" if step.latency else f"{'-':>12}"
        text = "the first kernel" if step.option is None else f"{step.option}: {step.plan or ''}"
        lines.append(f"{latency}  {gain}  {text[:150]}")
        before = step.latency or before
    return lines


def confirmation_lines(status: RunStatus) -> list[str]:
    """Each kernel that another engine judged too: what the search's engine said, and what that one says."""
    lines = []
    for found in status.confirmations:
        title = f"{'confirmed' if found.passed else 'refused':<9}  {found.candidate:<12}"
        before = f"{found.searched_latency:,.0f} {found.searched_unit} on {status.engine}"
        said = found.figure if found.passed else f"{found.verdict} on {found.engine}: {found.message[:120]}"
        lines.append(f"{title} {before}; {said}{'  <- best' if found.best else ''}")
    return lines


def _trust(status: RunStatus) -> str | None:
    """How far the latencies can be believed, as their engine states it; None for an engine this machine lacks."""
    from ..hardware_adapters.registry import adapters

    target = status.problem.partition("/")[0]
    engines = [e for name, adapter in adapters().items() if name == target for e in adapter.engines()]
    return next((engine.trust for engine in engines if engine.name == status.engine), None)


def _mark(mark: Mark) -> str:
    used = "" if mark.utilisation is None else f", {mark.utilisation:.1%} of the bound"
    return f"{mark.latency:,.0f} {mark.unit} ({mark.source}){used}"
