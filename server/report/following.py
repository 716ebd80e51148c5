"""A run's snapshot, and then what is new in it: for the page in a file the first alone, for a live one all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from ...agent.runs.history import Entry, history
from ...agent.runs.journal import Journal
from ...agent.runs.status import RunStatus, derive, elapsed, gains
from ...agent.toolbox import ProfileOutcome
from ...hardware_adapters.base import Evaluation, Profile, Roofline, language_of
from ...hardware_adapters.registry import trust
from .reproducing import reproduction
from .snapshot import Diff, Headline, OptionUse, Point, Roof, Row, Snapshot, Step

MAX_DIAGNOSTICS = 12
MAX_MESSAGE = 6000  # characters; a template of macros can produce megabytes


class Following:
    """Reads a run's journal, each time what was added. Not for several threads at once."""

    def __init__(self, journal: Journal, run_id: str) -> None:
        """Raises UnknownRunError."""
        self._journal = journal
        self._run = journal.first_row(run_id)
        self._events: list[dict[str, Any]] = []  # without kernels
        self._kernels = _Kernels()
        self._calls: list[tuple[int, float | None]] = []  # model calls and cost, after each event
        self._rows: dict[str, Row] = {}
        self._profiles: dict[str, Profile] = {}
        self.alive: bool | None = None  # whether a process drives the run
        self._texts_told = 0

    def news(self) -> Snapshot | None:
        """What was added since the last call; None when nothing was."""
        alive = self._journal.driven(self._run.run_id)
        fresh = self._journal.events(self._run.run_id, sources=True, skip=len(self._events))
        if not fresh and alive == self.alive:
            return None
        self.alive = alive
        profiles = self._take(fresh)
        status = self._status(alive)
        entries = history(self._events)
        rows = [row for row in self._all_rows(entries) if self._rows.get(row.id) != row]
        self._rows |= {row.id: row for row in rows}
        self._profiles |= profiles
        told, self._texts_told = self._texts_told, len(self._kernels.texts)
        return Snapshot(
            head=self._head(status, entries),
            rows=tuple(rows),
            texts=tuple(self._kernels.texts[told:]),
            best=tuple(self._best(status, entries)),
            steps=tuple(_steps(status)),
            menu=tuple(_menu(entries, status)),
            roof=_roof(self._profiles.values()),
            profiles=profiles,
            reproduction=reproduction(self._run, entries),
            suffix=language_of(self._run.source).suffix,
        )

    def _take(self, fresh: Iterable[dict[str, Any]]) -> dict[str, Profile]:
        calls, usd = self._calls[-1] if self._calls else (0, 0.0)
        profiles: dict[str, Profile] = {}
        for event in fresh:
            data, source = event["data"], event.pop("source")
            if event["kind"] == "model":
                price = data["reply"]["cost_usd"]
                calls, usd = calls + 1, None if usd is None or price is None else usd + price
                # What the model wrote is in plans and kernels; of the rest only these figures are looked at again.
                event["data"] = {"reply": {name: data["reply"][name] for name in ("usage", "cost_usd")}}
            elif event["kind"] == "candidate":
                self._kernels.add(data["id"], source or "")
            elif event["kind"] == "profile":
                found = ProfileOutcome.model_validate(data).profile
                if found is not None:
                    profiles[found.kernel] = found.model_copy(update={"timeline": None})
                event["data"] = {}
            self._events.append(event)
            self._calls.append((calls, usd))
        return profiles

    def _status(self, alive: bool) -> RunStatus:
        limits = (event["data"] for event in self._events if event["kind"] == "limits")
        return derive(self._run.with_limits(limits), self._events, alive=alive, now=self._journal.now())

    def _head(self, status: RunStatus, entries: Sequence[Entry]) -> Headline:
        first = entries[0].evaluation if entries else None
        best, baseline = status.best, status.baseline
        shown = best or baseline
        return Headline(
            run_id=status.run_id,
            problem=status.problem,
            model=status.model,
            state=status.state,
            stop_reason=status.stop_reason,
            engine=status.engine,
            engine_version=first and first.engine_version,
            trust=trust(status.problem, status.engine),
            source=shown and shown.source,
            unit=shown and shown.unit,
            baseline=baseline and baseline.latency,
            best=best and best.latency,
            best_candidate=best and best.candidate,
            speedup=status.speedup,
            baseline_utilisation=baseline and baseline.utilisation,
            utilisation=best and best.utilisation,
            iteration=status.iteration,
            iterations=status.iterations,
            evaluations=status.evaluations,
            passed=sum(entry.verdict == "passed" for entry in entries),
            duplicates=status.duplicates,
            model_calls=status.model_calls,
            tokens=status.tokens,
            cost_usd=status.cost_usd,
            wall_s=status.wall_s,
            created=self._run.created,
            continues=status.continues,
            reused=status.reused,
            confirmations=status.confirmations,
        )

    def _all_rows(self, entries: Sequence[Entry]) -> Iterable[Row]:
        places = {
            event["data"]["id"]: (time, event["data"].get("model"), *self._calls[number])
            for number, (event, time) in enumerate(zip(self._events, elapsed(self._events), strict=True))
            if event["kind"] == "candidate"
        }
        for entry in entries:
            time, coder, calls, usd = places[entry.candidate]
            plan, kernels = entry.plan, self._kernels
            message = _message(entry.evaluation) if entry.duplicate_of is None else ""
            yield Row(
                id=entry.candidate,
                parent=entry.parent,
                n=entry.evaluated,
                calls=calls,
                usd=None if usd is None else round(usd, 6),
                at_s=round(time, 2),
                verdict=entry.verdict,
                duplicate_of=entry.duplicate_of,
                latency=entry.latency,
                utilisation=entry.utilisation and round(entry.utilisation, 5),
                ratio=entry.ratio and round(entry.ratio, 5),
                option=plan and plan.option,
                variant=plan and plan.variant,
                bottleneck=plan and plan.bottleneck,
                planner=plan and plan.model,
                coder=coder,
                plan=kernels.text(plan.text) if plan else None,
                message=kernels.text(message) if message else None,
                kernel=entry.evaluation.kernel if entry.evaluation and entry.verdict == "passed" else None,
                source=kernels.diff(entry.candidate, entry.parent),
            )

    def _best(self, status: RunStatus, entries: Sequence[Entry]) -> Iterable[Point]:
        refused = {found.candidate for found in status.confirmations if not found.passed}
        least = float("inf")
        for entry in entries:
            if entry.latency is None or entry.latency >= least or entry.candidate in refused:
                continue
            least, row = entry.latency, self._rows[entry.candidate]
            yield Point(
                candidate=row.id, n=row.n, calls=row.calls, usd=row.usd, at_s=row.at_s, latency=entry.latency
            )  # fmt: skip


class _Kernels:
    """Every distinct line of the kernels once, and each kernel as what it changes of its parent.

    Kernels of a search are long and alike: a thousand of 10 KB come to some hundred KB.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._lines: dict[str, tuple[int, ...]] = {}

    def text(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def add(self, identity: str, source: str) -> None:
        self._lines[identity] = tuple(self.text(line) for line in source.split("\n"))

    def diff(self, identity: str, parent: str | None) -> Diff:
        lines = self._lines[identity]
        before = self._lines.get(parent, ()) if parent is not None else ()
        most = min(len(lines), len(before))
        head = next((n for n in range(most) if lines[n] != before[n]), most)
        most -= head
        tail = next((n for n in range(most) if lines[-1 - n] != before[-1 - n]), most)
        return Diff(head=head, lines=lines[head : len(lines) - tail], tail=tail)


def _message(evaluation: Evaluation | None) -> str:
    """All that was said of a kernel that did not pass, and the sentence about one that did."""
    if evaluation is None:
        return ""
    lines = [evaluation.message]
    fault, compiled = evaluation.fault, evaluation.compilation
    if fault is not None and fault.message not in evaluation.message:
        where = "" if fault.line is None else f", line {fault.line}"
        lines.append(f"{fault.kind}{where}: {fault.message}")
    if not evaluation.passed:
        for said in compiled.diagnostics[:MAX_DIAGNOSTICS] if compiled else ():
            where = "" if said.line is None else f"line {said.line}: "
            lines.append(f"{where}{said.severity}: {said.message}")
        lines += [found.text for found in evaluation.mismatches]
    text = "\n".join(lines)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} …"


def _steps(status: RunStatus) -> Iterable[Step]:
    for step, gain in zip(status.lineage, gains(status.lineage), strict=True):
        yield Step(candidate=step.candidate, option=step.option, latency=step.latency, gain=gain)


def _menu(entries: Sequence[Entry], status: RunStatus) -> list[OptionUse]:
    """Those that are part of the best kernel first, then those that paid most."""
    uses: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.option is not None:
            uses.setdefault(entry.option, []).append(entry)
    path = [step.option for step in status.lineage]

    def use(option: str, tried: Sequence[Entry]) -> OptionUse:
        gains = [entry.ratio for entry in tried if entry.ratio is not None]
        return OptionUse(
            option=option,
            tried=len(tried),
            passed=sum(entry.latency is not None for entry in tried),
            faster=sum(gain > 1 for gain in gains),
            best=max(gains, default=None),
            typical=median(gains) if gains else None,
            on_path=path.count(option),
        )

    found = [use(option, tried) for option, tried in uses.items()]
    return sorted(found, key=lambda use: (-use.on_path, -(use.best or 0.0), use.option))


def _roof(profiles: Iterable[Profile]) -> Roof:
    roof = Roof()
    for profile in profiles:
        line = profile.roofline
        if line is None or line.intensity <= 0 or line.ridge <= 0:
            continue
        peaks, memories = (line.peaks, line.memories) if line.peaks else _implied(line)
        roof = Roof(work=line.work, time=line.time, peaks=roof.peaks | peaks, memories=roof.memories | memories)
    return roof


def _implied(line: Roofline) -> tuple[dict[str, float], dict[str, float]]:
    """The limits behind `attainable`, of profiles journalled before they named them: at the ridge memory and array
    allow the same."""
    if line.bound == "array":
        peak = line.attainable
    elif line.bound == "port":
        peak = line.attainable / line.intensity * line.ridge
    elif line.dram_intensity and line.dram_ridge:
        peak = line.attainable / line.dram_intensity * line.dram_ridge
    else:
        return {}, {}
    dram = {"dram": peak / line.dram_ridge} if line.dram_ridge else {}
    return {"array": peak}, {"port": peak / line.ridge} | dram


def snapshot(journal: Journal, run_id: str) -> Snapshot:
    """All of a run as it is now. Raises UnknownRunError."""
    whole = Following(journal, run_id).news()
    assert whole is not None  # a run that was begun has at least its lease or an event
    return whole
