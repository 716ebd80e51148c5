"""runs and show: what the journal holds, for a person or as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...agent.errors import AgentUsageError
from ...agent.runs.journal import Journal
from ...agent.runs.status import Mark, RunStatus
from ...hardware_adapters.store import Home
from ..shell import DONE, emit, guarded, tell, tell_source
from ..terminal.steps import changes, detailed_lines
from ..terminal.summary import best_path, columns, summary_lines
from .candidates import candidate_lines, candidate_of, candidates_page, entry_json, table_lines


def find_run(journal: Journal, name: str) -> str:
    """A run's id from its id, a unique beginning of it, or `last`. Raises UnknownRunError, and as that
    NeverBegunError."""
    ids = journal.run_ids()
    if name == "last" and ids:
        return max(ids)
    matching = [run_id for run_id in ids if run_id.startswith(name)]
    if name in ids or len(matching) == 1:
        return name if name in ids else matching[0]
    return journal.first_row(name).run_id  # raises


def runs(as_json: bool) -> int:
    def command() -> int:
        listed = sorted(Journal.of(Home()).statuses(), key=lambda status: status.run_id, reverse=True)
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
        journal = Journal.of(home)
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
            entries, total = candidates_page(journal, run_id, view.limit, view.offset)
            tell(*table_lines(entries, total, view.offset, run_id))
        else:
            sources = {step.candidate: journal.source(run_id, step.candidate) or "" for step in status.lineage}
            made = changes(status.lineage, sources)
            steps = detailed_lines(status, made, columns(), plans=view.plans, diffs=view.changes)
            tell(*summary_lines(status, home, steps))
        return DONE

    return guarded(command, as_json)


def _shown(journal: Journal, status: RunStatus, home: Home, view: View) -> dict[str, Any]:
    data = status_json(status, home) | {"lineage": [step.model_dump() for step in status.lineage]}
    if view.source:
        data["source"] = status.best_source
    if view.candidates:
        entries, total = candidates_page(journal, status.run_id, view.limit, view.offset)
        end = view.offset + len(entries)
        data["candidates"] = [entry_json(entry) for entry in entries]
        data |= {"total": total, "next_offset": end if entries and end < total else None}
    return data


def _show_candidate(journal: Journal, run_id: str, identity: str, source: bool, as_json: bool) -> None:
    """Raises AgentUsageError for a candidate that the run does not have."""
    entry, text = candidate_of(journal, run_id, identity)
    if as_json:
        emit({"run_id": run_id, **entry.model_dump(mode="json"), "source": text})
    elif source:
        tell_source(text)
    else:
        tell(*candidate_lines(entry, columns()))


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
