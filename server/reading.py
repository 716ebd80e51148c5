"""runs and show: what the journal holds, for a person or as JSON."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from ..agent.database import runs_of
from ..agent.errors import AgentUsageError
from ..agent.estimate import Estimate
from ..agent.journal import Journal
from ..agent.status import Mark, RunStatus
from ..hardware_adapters.store import Home
from .figures import LABEL, MIN_COLUMNS, mark_text, tokens_line, wrapped
from .shell import DONE, emit, guarded, tell, tell_source
from .steps import changes, detailed_lines, headline, lineage_lines

NO_TERMINAL_COLUMNS = 120
MAX_MESSAGE = 120


def find_run(journal: Journal, name: str) -> str:
    """A run's id from its id, a unique beginning of it, or `last`. Raises UnknownRunError, and as that
    NeverBegunError."""
    ids = journal.run_ids()
    if name == "last" and ids:
        return max(ids)
    matching = [run_id for run_id in ids if run_id.startswith(name)]
    if name in ids or len(matching) == 1:
        return name if name in ids else matching[0]
    return journal.begun(name).run_id  # raises


def runs(as_json: bool) -> int:
    def command() -> int:
        listed = sorted(Journal(runs_of(Home())).runs(), key=lambda status: status.run_id, reverse=True)
        if as_json:
            emit({"runs": [status_json(status, None) for status in listed]})
            return DONE
        if not listed:
            tell("no runs yet; begin with: autocomp-mcp optimize gemmini/gemm-512x512x512")
        for s in listed:
            gain = f"{s.speedup:.2f}x" if s.speedup else "-"
            tell(f"{s.run_id}  {s.state:<11}  {gain:>8}  {s.evaluations:>5} evaluations  {s.model:<10}  {s.problem}")
        return DONE

    return guarded(command, as_json)


class View(NamedTuple):
    """What of a run `show` prints."""

    source: bool = False
    plans: bool = False
    changes: bool = False
    candidates: bool = False
    candidate: str | None = None
    limit: int = 40
    offset: int = 0


def show(run: str, view: View, as_json: bool) -> int:
    def command() -> int:
        home = Home()
        journal = Journal(runs_of(home))
        run_id = find_run(journal, run)
        if view.candidate is not None and (view.candidates or view.plans or view.changes):
            raise AgentUsageError("--candidate shows one kernel: leave --candidates, --plans and --changes out")
        if view.candidate is not None:
            _show_candidate(journal, run_id, view.candidate, view.source, as_json)
            return DONE
        status = journal.status(run_id)
        if as_json:
            emit(_shown(journal, status, home, view))
        elif view.source:
            if status.best_source is None:
                raise AgentUsageError(f"run {status.run_id} has no kernel that passes its evaluation yet")
            tell_source(status.best_source)
        elif view.candidates:
            from .candidates import page, table_lines

            entries, total = page(journal, run_id, view.limit, view.offset)
            tell(*table_lines(entries, total, view.offset, run_id))
        else:
            sources = {step.candidate: journal.source(run_id, step.candidate) or "" for step in status.lineage}
            made = changes(status.lineage, sources)
            steps = detailed_lines(status, made, columns(), plans=view.plans, diffs=view.changes)
            tell(*summary_lines(status, home, steps))
        return DONE

    return guarded(command, as_json)


def _shown(journal: Journal, status: RunStatus, home: Home, view: View) -> dict[str, Any]:
    from .candidates import entry_json, page

    data = status_json(status, home) | {"lineage": [step.model_dump() for step in status.lineage]}
    if view.source:
        data["source"] = status.best_source
    if view.candidates:
        entries, total = page(journal, status.run_id, view.limit, view.offset)
        end = view.offset + len(entries)
        data["candidates"] = [entry_json(entry) for entry in entries]
        data |= {"total": total, "next_offset": end if entries and end < total else None}
    return data


def _show_candidate(journal: Journal, run_id: str, identity: str, source: bool, as_json: bool) -> None:
    """Raises AgentUsageError for a candidate that the run does not have."""
    from .candidates import candidate_lines, one

    entry, text = one(journal, run_id, identity)
    if as_json:
        emit({"run_id": run_id, **entry.model_dump(mode="json"), "source": text})
    elif source:
        tell_source(text)
    else:
        tell(*candidate_lines(entry, columns()))


def best_path(status: RunStatus, home: Home | None) -> str | None:
    from ..hardware_adapters.base import LANGUAGES

    folder = home and home.path / "runs" / status.run_id
    paths = [folder / f"best{language.suffix}" for language in LANGUAGES] if folder else []
    return next((str(path) for path in paths if path.exists()), None)


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
        "stop_reason": status.stop_reason, "limit": status.limit, "continues": status.continues,
        "confirmations": [found.model_dump() for found in status.confirmations],
    }  # fmt: skip


def columns() -> int:
    return max(shutil.get_terminal_size((NO_TERMINAL_COLUMNS, 24)).columns, MIN_COLUMNS)


def summary_lines(status: RunStatus, home: Home, steps: Sequence[Text | str] | None = None) -> list[Text | str]:
    """A run's result for the terminal's width (120 without one): words are never broken. `steps`: the way to its best
    kernel in more detail than a line per step; its headline stands above then."""
    width = columns()

    def entry(label: str, text: str) -> list[str]:
        return wrapped(f"{label:<{LABEL}}{text}", width)

    lines: list[Text | str] = [*wrapped(f"{status.problem}  run {status.run_id}", width)]
    if steps is not None and (said := headline(status)):
        lines += [Text(line, "bold") for line in wrapped(said, width)]
    ended = "" if status.stop_reason == status.state else f": {status.stop_reason or 'not ended'}"
    lines += wrapped(f"{status.state}{ended}", width)
    if status.continues:
        lines += wrapped(f"continues run {status.continues}, from its best kernel", width)
    if status.baseline is None or (status.best is None and not status.confirmations):
        return [*lines, "no kernel passed its evaluation", *entry("spent", _spent(status))]
    shown = lineage_lines(status, width) if steps is None else steps
    lines += ["", *shown, ""] if status.lineage else [""]
    lines += entry("baseline", mark_text(status.baseline))
    lines += entry("best", mark_text(status.best) if status.best else "none")
    if status.best and (believed := trust(status)):
        lines += entry("", believed)
    if status.speedup is not None:
        lines += entry("speed-up", f"{status.speedup:.2f}x")
    for label, text in _confirmations(status):
        lines += entry(label, text)
    lines += entry("spent", _spent(status))
    if status.tokens.total:
        lines += entry("", tokens_line(status.tokens))
    if status.reused:
        lines += entry("reused", f"the schedule of run {status.reused} (--reuse none goes without)")
    if path := best_path(status, home):
        lines.append(f"{'kernel':<{LABEL}}{path}")
    more = "--source" if steps is None else "--source | --plans | --changes | --candidates"
    return [*lines, *entry("more", f"autocomp-mcp show {status.run_id} {more}")]


def _spent(status: RunStatus) -> str:
    cost = "price not known" if status.cost_usd is None else f"{status.cost_usd:.2f} USD"
    calls = f"{status.evaluations} evaluations, {status.model_calls} model calls"
    return f"{calls}, {cost}, {status.wall_s:.0f} s"


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


def _confirmations(status: RunStatus) -> Iterator[tuple[str, str]]:
    """Each kernel that another engine judged too: what the search's engine said, and what that one says."""
    for found in status.confirmations:
        before = f"{found.candidate:<12} {found.searched_latency:,.0f} {found.searched_unit} on {status.engine}"
        message = textwrap.shorten(found.message, MAX_MESSAGE, placeholder=" …")
        said = found.figure if found.passed else f"{found.verdict} on {found.engine}: {message}"
        yield "confirmed" if found.passed else "refused", f"{before}; {said}{'  <- best' if found.best else ''}"


def trust(status: RunStatus) -> str | None:
    """How far the latencies can be believed, as their engine states it; None for an engine this machine lacks."""
    from ..hardware_adapters.registry import adapters

    adapter = adapters().get(status.problem.partition("/")[0])
    return adapter.trust(status.problem, status.engine) if adapter and status.engine else None
