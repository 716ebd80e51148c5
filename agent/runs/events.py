"""What a search tells whoever watches it. Nothing depends on a listener: the journal holds all that counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from ...hardware_adapters.base import Record
from .progress import Phase, PhaseTally, Work
from .status import Mark, Step, Tokens

EventName = Literal["started", "phase", "work", "candidate", "best", "finished"]


class SearchEvent(Record):
    """One thing that happened, with the run's figures at that moment."""

    kind: EventName
    run_id: str
    iteration: int
    iterations: int
    phase: Literal["plan", "generate", "evaluate", "select", "confirm"] | None = None
    candidate: str | None = Field(default=None, description="Set for `candidate` and `best`")
    option: str | None = None
    verdict: str | None = Field(default=None, description="Of the candidate; `duplicate` when it was seen before")
    latency: float | None = Field(default=None, description="Of the candidate, in best.unit")
    baseline: Mark | None = None
    best: Mark | None = None
    lineage: tuple[Step, ...] = Field(default=(), description="From the first kernel to the best so far")
    tallies: dict[Phase, PhaseTally] = Field(default_factory=dict, description="Of the current iteration")
    works: tuple[Work, ...] = Field(default=(), description="What is under way, in the order in which it began")
    evaluations: int = 0
    max_evaluations: int | None = None
    model_calls: int = 0
    cost_usd: float | None = None
    cost_left_usd: float | None = Field(default=None, description="None without a limit")
    tokens: Tokens = Tokens()
    max_tokens: int | None = None
    elapsed_s: float = 0.0
    time_left_s: float | None = Field(default=None, description="None without a limit")
    message: str | None = None


Listener = Callable[[SearchEvent], None]
