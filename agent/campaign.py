"""Several searches with one budget: what each may spend, which have ended, and where to go on after a stop.

A campaign is its problems, in order; which run belongs to which is kept beside the journal, and everything else is
read from the runs themselves. One problem is searched after the other, so that each can replay what the earlier ones
found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from .errors import UnknownRunError
from .runs.database import opened
from .runs.journal import Journal
from .runs.status import RunStatus
from .settings import SearchSettings

_TABLE = """CREATE TABLE IF NOT EXISTS campaigns (
    campaign TEXT NOT NULL, entry INTEGER NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (campaign, entry)) {strict}"""

# Limits of a search, and what of a run's status they are about.
SHARED = {"max_evaluations": "evaluations", "max_cost_usd": "cost_usd", "timeout_s": "wall_s"}


class Budget(BaseModel):
    """Of all searches together; None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    evaluations: int | None = Field(default=None, ge=1)
    cost_usd: float | None = Field(default=None, gt=0)
    time_s: float | None = Field(default=None, gt=0)

    @property
    def limits(self) -> dict[str, float]:
        """By the names of the settings."""
        found = {"max_evaluations": self.evaluations, "max_cost_usd": self.cost_usd, "timeout_s": self.time_s}
        return {name: float(value) for name, value in found.items() if value is not None}


class CampaignEntry(BaseModel):
    """One problem, and what is different about its search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    source: str | None = Field(default=None, description="The kernel to start from, its text")
    model: str
    settings: dict[str, Any] = Field(default_factory=dict)

    def chosen(self, limits: dict[str, Any]) -> SearchSettings:
        """Its settings; where it has a limit of its own the lower one counts."""
        settings = SearchSettings.for_model(self.model, **self.settings)
        lower = {name: min(value, getattr(settings, name) or value) for name, value in limits.items()}
        return settings.model_copy(update=lower)


State = Literal["waiting", "open", "ended"]


class Standing(NamedTuple):
    """Where an entry is: `waiting` for its search to begin, `open` where that can go on, `ended` where it is done."""

    entry: CampaignEntry
    state: State
    run_id: str | None
    status: RunStatus | None

    @property
    def starved(self) -> bool:
        """It ended at a limit of the campaign's, and would go on with more."""
        status = self.status
        if status is None or status.state != "finished" or status.limit in (None, "tokens"):
            return False
        name = {"evaluations": "max_evaluations", "cost": "max_cost_usd", "time": "timeout_s"}[str(status.limit)]
        own = getattr(SearchSettings.for_model(self.entry.model, **self.entry.settings), name)
        return own is None or getattr(status, SHARED[name]) < own


class Next(NamedTuple):
    """The search to begin or to go on with, and its limits by the names of the settings."""

    number: int
    standing: Standing
    limits: dict[str, Any]


class Campaign:
    """`name`: what it is called; with the problems and their settings, not with its budget, it is the campaign's
    identity: with a larger budget it goes on. `place`: the journal's database. Raises JournalError, as the methods."""

    def __init__(
        self, name: str, entries: Sequence[CampaignEntry], budget: Budget, journal: Journal, place: str | Path
    ) -> None:
        content = json.dumps([entry.model_dump(mode="json") for entry in entries], sort_keys=True)
        self.id = f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
        self.entries = tuple(entries)
        self.budget = budget
        self._journal = journal
        self._db = opened(place)
        with self._db.writing():
            self._db.execute(_TABLE.format(strict=self._db.strict))

    def standings(self) -> list[Standing]:
        runs = self._runs()
        return [self._standing(entry, runs.get(number)) for number, entry in enumerate(self.entries)]

    def _standing(self, entry: CampaignEntry, run_id: str | None) -> Standing:
        if run_id is None:
            return Standing(entry, "waiting", None, None)
        try:
            status = self._journal.status(run_id)
        except UnknownRunError:  # stopped before its search had begun
            return Standing(entry, "waiting", run_id, None)
        # A first kernel that does not pass fails again: that search is over, the others are not.
        useless = status.state == "failed" and status.evaluations > 0 and status.baseline is None
        return Standing(entry, "ended" if status.state == "finished" or useless else "open", run_id, status)

    def next(self, spare: Collection[int] = ()) -> Next | None:
        """None when all have ended or the budget is spent.

        What is left of the budget is shared evenly by those that have not ended: one that needs less leaves more to
        the others. Then those that its share ended share what is left, but for `spare`."""
        standings = self.standings()
        for wanted in (
            [s.state != "ended" for s in standings],
            [s.starved and number not in spare for number, s in enumerate(standings)],
        ):
            if any(wanted):
                number = wanted.index(True)
                limits = self._share(standings, sum(wanted), standings[number])
                return None if limits is None else Next(number, standings[number], limits)
        return None

    def _share(self, standings: Sequence[Standing], sharing: int, of: Standing) -> dict[str, Any] | None:
        """Limits of a search, counted from its beginning; None when nothing is left."""
        found: dict[str, Any] = {}
        for name, limit in self.budget.limits.items():
            # A model without a price spends what nobody knows: a search with a limit on it is refused at its start.
            left = limit - self._spent(standings, name)
            used = (getattr(of.status, SHARED[name]) or 0) if of.status is not None else 0
            share = left // sharing if name == "max_evaluations" else left / sharing
            share = max(share, min(left, 1)) if name == "max_evaluations" else share
            if share < (1 if name == "max_evaluations" else 1e-6):
                return None
            found[name] = used + (int(share) if name == "max_evaluations" else share)
        return found

    def _spent(self, standings: Sequence[Standing], name: str) -> float:
        return sum((getattr(s.status, SHARED[name]) or 0) for s in standings if s.status is not None)

    def begin(self, number: int, run_id: str) -> str:
        """Say which run the entry's search will be, before it begins; the run of whoever was first."""
        with self._db.writing():
            statement = "INSERT INTO campaigns VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            self._db.execute(statement, self.id, number, run_id)
        return self._runs()[number]

    def forget(self) -> None:
        """Begin anew; the runs stay."""
        with self._db.writing():
            self._db.execute("DELETE FROM campaigns WHERE campaign = ?", self.id)

    def _runs(self) -> dict[int, str]:
        rows = self._db.query("SELECT entry, run_id FROM campaigns WHERE campaign = ?", self.id)
        return {row["entry"]: row["run_id"] for row in rows}
