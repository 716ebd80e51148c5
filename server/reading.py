"""runs and show: what the journal holds, for a person or as JSON."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from ..agent.errors import AgentUsageError, UnknownRunError
from ..agent.estimate import Estimate
from ..agent.journal import Journal
from ..agent.status import Mark, RunStatus, Tokens
from ..hardware_adapters.store import Home
from .shell import DONE, emit, guarded

NO_TERMINAL_COLUMNS = 120
MIN_COLUMNS = 40
LABEL = 11  # columns that the names of the figures take
MAX_MESSAGE = 120


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
        "stop_reason": status.stop_reason, "limit": status.limit,
        "confirmations": [found.model_dump() for found in status.confirmations],
    }  # fmt: skip


def summary_lines(status: RunStatus, home: Home) -> list[str]:
    """A run's result for the terminal's width (120 without one): words are never broken."""
    width = shutil.get_terminal_size((NO_TERMINAL_COLUMNS, 24)).columns

    def entry(label: str, text: str) -> list[str]:
        return _wrapped(f"{label:<{LABEL}}{text}", width)

    lines = _wrapped(f"{status.problem}  run {status.run_id}", width)
    lines += _wrapped(f"{status.state}: {status.stop_reason or 'still running'}", width)
    if status.baseline is None or (status.best is None and not status.confirmations):
        return [*lines, "no kernel passed its evaluation"]
    lines += ["", *lineage_lines(status, width), ""] if status.lineage else [""]
    lines += entry("baseline", _mark(status.baseline))
    lines += entry("best", _mark(status.best) if status.best else "none")
    if status.best and (trust := _trust(status)):
        lines += entry("", trust)
    if status.speedup is not None:
        lines += entry("speed-up", f"{status.speedup:.2f}x")
    for label, text in _confirmations(status):
        lines += entry(label, text)
    cost = "price not known" if status.cost_usd is None else f"{status.cost_usd:.2f} USD"
    lines += entry(
        "spent", f"{status.evaluations} evaluations, {status.model_calls} model calls, {cost}, {status.wall_s:.0f} s"
    )
    if status.tokens.total:
        lines += entry("", tokens_line(status.tokens))
    if path := best_path(status, home):
        lines.append(f"{'kernel':<{LABEL}}{path}")
    return [*lines, f"{'more':<{LABEL}}autocomp-mcp show {status.run_id} --source"]


def tokens_line(tokens: Tokens) -> str:
    """`1.2 M tokens in (83 % cached), 40 k out`."""
    given = tokens.input + tokens.cache_write + tokens.cache_read
    cached = f" ({tokens.cache_read / given:.0%} cached)" if given else ""
    return f"{_count(given)} tokens in{cached}, {_count(tokens.output)} out"


def _count(number: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def estimate_lines(found: Estimate) -> list[str]:
    lines = [
        f"expected   {found.plan_calls:,} plans and {found.code_calls:,} codes; at most {found.most_calls:,} calls, "
        "repairs and repeated questions included"
    ]
    for model in found.models:
        lines.append(f"{model.model}: {model.plans:,.0f} plans, {model.codes:,.0f} codes, {tokens_line(model.tokens)}")
        lines.append(f"{'':<{LABEL}}{_usd(model.cost_usd)}; without the cache {_usd(model.uncached_usd)}")
    return [*lines, f"cost       {_usd(found.cost_usd)}; without the cache {_usd(found.uncached_usd)}"]


def _usd(cost: float | None) -> str:
    return "price not known" if cost is None else f"{cost:.2f} USD"


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns where the words allow it, the further ones below the first one's text."""
    return textwrap.wrap(
        text, max(width, MIN_COLUMNS), subsequent_indent=" " * LABEL, break_long_words=False, break_on_hyphens=False
    )


def lineage_lines(status: RunStatus, width: int) -> list[str]:
    """Each step to the best kernel with its gain over the step before; of its plan as much as fits on the line."""
    lines = []
    before: float | None = None
    for step in status.lineage:
        gain = f"{before / step.latency:6.2f}x" if before and step.latency else "       "
        latency = f"{step.latency:>12,.0f}" if step.latency else f"{'-':>12}"
        start = f"{latency}  {gain}  "
        if step.option is None:
            lines.append(f"{start}the first kernel")
        else:
            left = max(width, MIN_COLUMNS) - len(start) - len(step.option)
            plan = textwrap.shorten(step.plan or "", max(left - 2, 2), placeholder=" …", break_long_words=False)
            lines.append(f"{start}{step.option}" + (f": {plan.lstrip()}" if plan.strip(" …") else ""))
        before = step.latency or before
    return lines


def _confirmations(status: RunStatus) -> Iterator[tuple[str, str]]:
    """Each kernel that another engine judged too: what the search's engine said, and what that one says."""
    for found in status.confirmations:
        before = f"{found.candidate:<12} {found.searched_latency:,.0f} {found.searched_unit} on {status.engine}"
        message = textwrap.shorten(found.message, MAX_MESSAGE, placeholder=" …")
        said = found.figure if found.passed else f"{found.verdict} on {found.engine}: {message}"
        yield "confirmed" if found.passed else "refused", f"{before}; {said}{'  <- best' if found.best else ''}"


def _trust(status: RunStatus) -> str | None:
    """How far the latencies can be believed, as their engine states it; None for an engine this machine lacks."""
    from ..hardware_adapters.registry import adapters

    adapter = adapters().get(status.problem.partition("/")[0])
    return adapter.trust(status.problem, status.engine) if adapter and status.engine else None


def _mark(mark: Mark) -> str:
    used = "" if mark.utilisation is None else f", {mark.utilisation:.1%} of the bound"
    return f"{mark.latency:,.0f} {mark.unit} ({mark.source}){used}"
