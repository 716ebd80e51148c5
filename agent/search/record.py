"""What a run knows so far: the journal's results by key, and the figures that follow from them."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from ...hardware_adapters.base import LANGUAGES, Evaluation, Problem
from ..runs.best_kernel import best_name, headed, write_best
from ..runs.candidate import ROOT, Candidate, canonical, place, stand
from ..runs.confirmation import Confirmation, confirmation, ranked
from ..runs.events import EventName, Listener, SearchEvent
from ..runs.journal import EventKind, Journal, Lease
from ..runs.patience import patiently
from ..runs.progress import Progress
from ..runs.status import Mark, Searched, Step, Tokens, lineage, search_seconds, wall_seconds
from ..settings import SearchSettings
from .bandit import ModelUse

log = logging.getLogger(__name__)


class RunRecord:
    """Read from the journal once, then kept in step with it: `put` writes first and remembers afterwards."""

    def __init__(
        self,
        lease: Lease,
        journal: Journal,
        problem: Problem,
        settings: SearchSettings,
        runs_dir: Path,
        listener: Listener | None,
    ) -> None:
        self.run_id = lease.run_id
        self.problem = problem
        self.settings = settings
        self.candidates: dict[str, Candidate] = {}
        self.first_with: dict[str, str] = {}  # kernel digest -> candidate that was evaluated
        self.first_of_code: dict[str, str] = {}  # machine code -> candidate that was evaluated and passed
        self.evaluations = 0
        self.model_calls = 0
        self.cost_usd: float | None = 0.0
        self.used = Tokens()
        self._model_calls: list[tuple[int, str, float, bool]] = []  # iteration, model, USD, whether it was of use
        self.fastest: Candidate | None = None  # by the engine of the search, which alone steers the search
        self.best: Candidate | None = None  # what the run reports: never a kernel that was refused when confirming
        self.iteration = 0
        self.iterations = settings.iterations
        self._results: dict[str, dict[str, Any]] = {}
        self._lease = lease
        self._journal = journal
        self._folder = runs_dir / lease.run_id
        self._listener = listener
        self._lineage: tuple[Step, ...] = ()  # to the best, remembered because it is told with every event
        self._confirmed: list[str] = []  # candidates
        events = journal.events(lease.run_id, sources=True)
        self._began = time.monotonic() - wall_seconds(events, None)
        self.progress = Progress(lambda: time.monotonic() - self._began, lambda: self.tell("work"))
        self._search_began = time.monotonic() - search_seconds(events)
        self._reopened = sum(event["kind"] == "limits" for event in events)
        for event in events:
            if event["key"] is not None:
                self._results[event["key"]] = {**event["data"], "source": event["source"]}
                self._count(event["kind"], event["key"], event["data"])
        # A resumed search comes to its candidates again one by one; what it found before is its best from the start.
        self._before = {c.id: c for c in canonical(self._journalled())}
        self.best = min((c for c in self._before.values() if self._eligible(c)), key=lambda c: c.order, default=None)

    def get(self, key: str) -> dict[str, Any] | None:
        return self._results.get(key)

    def put(self, kind: EventKind, key: str, data: dict[str, Any], source: str | None = None) -> None:
        if key in self._results:
            return
        self._journal.append(self._lease, kind, data, key=key, source=source)
        self._results[key] = {**data, "source": source}
        self._count(kind, key, data)

    async def keep(self, kind: EventKind, key: str, data: dict[str, Any]) -> None:
        """`put`, patiently. Raises JournalError."""
        await patiently(lambda: self.put(kind, key, data))

    def model_uses(self, *, before: int) -> dict[str, ModelUse]:
        """Calls and cost of each model in the iterations before this one; an answer of no use is a try."""
        uses: dict[str, ModelUse] = {}
        for iteration, model, usd, useful in self._model_calls:
            if iteration < before:
                use = uses.get(model, ModelUse())
                more = {"calls": use.calls + 1, "usd": use.usd + usd, "tries": use.tries + (not useful)}
                uses[model] = use.model_copy(update=more)
        return uses

    def _count(self, kind: str, key: str, data: dict[str, Any]) -> None:
        if kind == "model":
            self.model_calls += 1
            price = data["reply"]["cost_usd"]
            self.cost_usd = None if price is None or self.cost_usd is None else self.cost_usd + price
            self.used += Tokens.model_validate(data["reply"]["usage"])
            if data.get("model"):
                phase, asked, _ = key.split("/")
                useful = data["reply"]["plan" if phase == "plan" else "source"] is not None
                self._model_calls.append((place(asked)[0], data["model"], price or 0.0, useful))
        elif kind == "candidate" and not data.get("duplicate_of"):
            self.evaluations += 1
        elif kind == "confirm":
            self._confirmed.append(data["candidate"])

    # ------------------------------------------------------------ candidates

    def _journalled(self) -> list[Candidate]:
        """In the order they were finished."""
        found = (data for key, data in self._results.items() if key.startswith("candidate/"))
        return [Candidate.model_validate(data) for data in found]

    def restored(self, identity: str) -> Candidate | None:
        """The candidate of this place as it is journalled, if it is."""
        data = self.get(f"candidate/{identity}")
        if data is None:
            return None
        candidate = Candidate.model_validate(data)
        self._admit(candidate)
        return candidate

    def finished(self, candidate: Candidate) -> None:
        """Journal a candidate's result, then use it."""
        data = candidate.model_dump(mode="json", exclude={"source"})
        self.put("candidate", f"candidate/{candidate.id}", data, candidate.source)
        self._admit(candidate)

    def _known(self, identity: str) -> Candidate | None:
        """As it stands, or stood when a resumed search began."""
        return self.candidates.get(identity) or self._before.get(identity)

    def _eligible(self, candidate: Candidate) -> bool:
        found = self.confirmation_of(candidate)
        return candidate.passed and (found is None or found.passed)

    def _admit(self, candidate: Candidate) -> None:
        if candidate.id in self.candidates:
            return
        if candidate.duplicate_of is None:
            self.first_with.setdefault(candidate.digest, candidate.id)
            if candidate.passed:
                self.first_of_code.setdefault(candidate.code, candidate.id)
        else:  # in a resumed run the order is not the journal's
            self.restored(candidate.duplicate_of)
        first = stand(self.candidates, candidate)
        if first.passed and (self.fastest is None or first.order < self.fastest.order):
            self.fastest = first
        verdict = "duplicate" if candidate.duplicate_of else (candidate.evaluation and candidate.evaluation.verdict)
        option = candidate.plan.option if candidate.plan else None
        known = {"candidate": candidate.id, "option": option, "verdict": verdict}
        latency = candidate.latency if candidate.passed else None
        # A duplicate that comes before its kernel by place takes that one's place as the best, which is no news.
        better = self._eligible(first) and (self.best is None or first.order < self.best.order)
        news = better and (self.best is None or first.latency < self.best.latency)
        if better:
            self.best = first
        self.tell("candidate", latency=latency, **known)
        if better:
            self.write_best()
        if news:
            self.tell("best", latency=first.latency, **known)

    def settled(self) -> list[Candidate]:
        """All so far, by place."""
        return sorted(self.candidates.values(), key=lambda c: place(c.id))

    # ------------------------------------------------------------ confirming

    @property
    def searched(self) -> Searched | None:
        """Why the search ended; None while it goes on, or goes on again with larger limits."""
        data = self.get(self._searched_key)
        return Searched.model_validate(data) if data else None

    @property
    def _searched_key(self) -> str:
        return f"searched/{self._reopened}"

    def end_search(self, ended: Searched) -> None:
        """From here on the kernels of this run are known; a resumed run goes on here."""
        self.put("searched", self._searched_key, ended.model_dump())
        for candidate in self._journalled():
            self._admit(candidate)

    def confirmation_of(self, candidate: Candidate) -> Confirmation | None:
        """What was said of its kernel, be it by the name of another place that has the same one."""
        if candidate.evaluation is None:
            return None
        for identity in self._confirmed:
            named = self._known(identity)
            if identity == candidate.id or (named is not None and named.duplicate_of == candidate.id):
                data = {**self._results[f"confirm/{identity}"], "candidate": candidate.id}
                return confirmation(data, candidate.evaluation)
        return None

    def put_confirmation(self, candidate: Candidate, said: Evaluation) -> None:
        data = {"candidate": candidate.id, "evaluation": said.model_dump(mode="json")}
        self.put("confirm", f"confirm/{candidate.id}", data)

    def confirmations(self) -> tuple[Confirmation, ...]:
        """Of this search and of those with smaller limits, the best first."""
        return ranked(found for candidate in self.settled() if (found := self.confirmation_of(candidate)))

    def settle_best(self) -> None:
        """The best is the best that was confirmed, or none; as it is when nothing was."""
        found = self.confirmations()
        if not found:
            return
        first = found[0]
        self.best = self.candidates[first.candidate] if first.best else None
        if self.best is None:
            for language in LANGUAGES:
                (self._folder / f"best{language.suffix}").unlink(missing_ok=True)

    # ------------------------------------------------------------ telling

    def tell(self, kind: EventName, **more: Any) -> None:
        """A listener that fails must not stop a search that costs money."""
        if self._listener is None:
            return
        s, now = self.settings, time.monotonic()
        limited = s.timeout_s is not None and self.searched is None  # confirming has time of its own
        root = self._known(ROOT)
        cost_left = None if s.max_cost_usd is None else max(0.0, s.max_cost_usd - (self.cost_usd or 0.0))
        event = SearchEvent(
            kind=kind,
            run_id=self.run_id,
            iteration=self.iteration,
            iterations=self.iterations,
            baseline=Mark.of(root) if root else None,
            best=Mark.of(self.best, self._folder / best_name(self.best.source)) if self.best else None,
            lineage=self._steps(),
            tallies=self.progress.tallies,
            works=self.progress.works,
            evaluations=self.evaluations,
            max_evaluations=s.max_evaluations,
            model_calls=self.model_calls,
            cost_usd=self.cost_usd,
            cost_left_usd=cost_left,
            tokens=self.used,
            max_tokens=s.max_tokens,
            elapsed_s=now - self._began,
            time_left_s=max(0.0, (s.timeout_s or 0.0) - (now - self._search_began)) if limited else None,
            **more,
        )
        try:
            self._listener(event)
        except Exception:
            log.exception("the listener of run %s failed", self.run_id)

    def _steps(self) -> tuple[Step, ...]:
        identity = self.best.id if self.best else None
        if identity != (self._lineage[-1].candidate if self._lineage else None):
            self._lineage = lineage(identity, self._before | self.candidates)
        return self._lineage

    def write_best(self) -> None:
        """`best.c`, or `.py`, in the run's folder. The journal has it too: a full disk costs the file, no search."""
        best = self.best
        text = headed(best, self._known(ROOT), self.run_id, self.confirmation_of(best)) if best else None
        if best is None or text is None:
            return
        name = best_name(best.source)
        try:
            write_best(self._folder / name, text)
        except OSError as error:
            log.warning("%s of run %s cannot be written: %s", name, self.run_id, error)
