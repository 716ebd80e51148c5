"""What the page shows of a run, made from its journal alone, so that finished, live and imported runs look alike.

A snapshot is also how the page is kept up to date: one that holds only what is new is merged into the one before. Rows
and profiles replace those with the same key, texts are appended, everything else replaces what was there.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...agent.runs.confirmation import Confirmation
from ...agent.runs.status import RunState, Tokens
from ...hardware_adapters.base import LatencySource, Profile, Record

FORMAT = 1


class Headline(Record):
    """The run at a glance."""

    run_id: str
    problem: str
    model: str
    state: RunState
    stop_reason: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    trust: str | None = Field(default=None, description="How far the engine's latencies can be believed")
    source: LatencySource | None = None
    unit: str | None = None
    baseline: float | None = Field(default=None, description="Latency of the first kernel")
    best: float | None = None
    best_candidate: str | None = None
    speedup: float | None = None
    baseline_utilisation: float | None = None
    utilisation: float | None = Field(default=None, description="Bound / latency of the best kernel")
    iteration: int = 0
    iterations: int = 0
    evaluations: int = 0
    passed: int = 0
    duplicates: int = 0
    model_calls: int = 0
    tokens: Tokens = Tokens()
    cost_usd: float | None = Field(default=0.0, description="None: the model's price is not known")
    wall_s: float = 0.0
    created: float = Field(description="Seconds since 1970")
    continues: str | None = None
    reused: str | None = None
    confirmations: tuple[Confirmation, ...] = ()


class Diff(Record):
    """A kernel's text against its parent's: `head` lines of it, the lines with these numbers, its last `tail` lines."""

    head: int = 0
    lines: tuple[int, ...] = Field(default=(), description="Numbers in Snapshot.texts")
    tail: int = 0


class Row(Record):
    """One candidate, in the order in which they were finished. Numbers of texts are places in Snapshot.texts."""

    id: str
    parent: str | None = None
    n: int = Field(description="Evaluations of the run up to here")
    calls: int = Field(default=0, description="Model calls up to here")
    usd: float | None = Field(default=0.0, description="Cost up to here; None: not known")
    at_s: float = Field(default=0.0, description="Time of the run up to here")
    verdict: str
    duplicate_of: str | None = None
    latency: float | None = None
    utilisation: float | None = None
    ratio: float | None = Field(default=None, description="Latency of the parent over this one")
    option: str | None = None
    variant: str | None = None
    bottleneck: str | None = None
    planner: str | None = None
    coder: str | None = None
    plan: int | None = Field(default=None, description="Number of a text")
    message: int | None = Field(default=None, description="Number of a text")
    kernel: str | None = Field(default=None, description="Key in Snapshot.profiles, where there may be one")
    source: Diff = Diff()


class Point(Record):
    """The best kernel so far changed here."""

    candidate: str
    n: int
    calls: int
    usd: float | None
    at_s: float
    latency: float


class Step(Record):
    candidate: str
    option: str | None = None
    latency: float | None = None
    gain: float | None = Field(default=None, description="Latency of the step before over this one")


class OptionUse(Record):
    """What came of a menu option over the whole run."""

    option: str
    tried: int
    passed: int
    faster: int
    best: float | None = Field(default=None, description="Largest gain over a parent")
    typical: float | None = Field(default=None, description="Median gain of those that passed")
    on_path: int = Field(default=0, description="Steps of the best kernel's lineage")


class Roof(Record):
    """What bounds the speed at an intensity: the machine's limits, from the profiles of the run."""

    work: Literal["MACs", "flops"] = "MACs"
    time: Literal["cycle", "ns"] = "cycle"
    peaks: dict[str, float] = Field(default_factory=dict, description="Of units: work per unit of time")
    memories: dict[str, float] = Field(default_factory=dict, description="Bytes per unit of time; the main one first")


class Setting(Record):
    name: str
    value: str
    usual: bool = Field(default=True, description="The value that the model's preset has")


class Reproduction(Record):
    """All that it takes to make the run again."""

    command: str
    first_kernel: str = Field(description="Digest of the kernel that the search began with")
    seed: int
    evaluation_seeds: tuple[int, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    settings: tuple[Setting, ...] = ()


class Snapshot(Record):
    format: Literal[1] = FORMAT
    head: Headline
    rows: tuple[Row, ...] = ()
    texts: tuple[str, ...] = ()
    best: tuple[Point, ...] = ()
    steps: tuple[Step, ...] = ()
    menu: tuple[OptionUse, ...] = ()
    roof: Roof = Roof()
    profiles: dict[str, Profile] = Field(default_factory=dict)
    reproduction: Reproduction | None = None
    suffix: str = Field(default=".c", description="Of a file with a kernel")

    def json_text(self) -> str:
        """Compact: what has its default is left out, which the page knows how to read."""
        return self.model_dump_json(exclude_defaults=True)
