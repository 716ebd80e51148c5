"""The types that flow through the house: problems, and what is found out about kernels.

Nothing here knows a target. Every type is a pydantic model that travels unchanged through
MCP as structured content, so a field's description is written for the model that reads it.
`None` always means "not known", never zero.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field

Verdict = Literal["passed", "compile_error", "wrong_result", "crashed", "timed_out", "rejected"]
LatencySource = Literal["estimated", "measured"]


class Record(BaseModel):
    """Base of all result types: immutable, and tolerant of fields a newer server adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


# ---------------------------------------------------------------- problems


class Tensor(Record):
    """One argument of a kernel, row-major."""

    name: str
    role: Literal["input", "output"]
    shape: tuple[int, ...]
    dtype: str = Field(description="NumPy name of the element type, e.g. int8")


class Work(Record):
    """What must be done whatever the schedule; bytes count every operand once."""

    macs: int | None = Field(description="Multiply-accumulates; null: not known")
    bytes_in: int
    bytes_out: int


class Bound(Record):
    """The least latency the hardware allows (roofline), and where the number comes from."""

    value: float
    unit: str
    reason: str = Field(description="e.g. '134217728 MACs / 256 per cycle'")


class ProblemSummary(Record):
    id: str
    target: str
    family: str = Field(description="Operator family, e.g. gemm")
    title: str


class Problem(ProblemSummary):
    """What must be computed, exactly enough to write a kernel for it."""

    dims: dict[str, int]
    tensors: tuple[Tensor, ...] = Field(description="Arguments of the kernel, in order")
    signature: str = Field(description="The entry point a kernel must define")
    semantics: str = Field(description="The result, as a formula with rounding and saturation")
    inputs: str = Field(description="How input sets are drawn")
    tolerance: str
    work: Work
    bound: Bound | None = Field(description="null: the work is not known, so there is no utilisation either")
    rules: tuple[str, ...] = Field(description="What a kernel for this target must keep to")
    traits: tuple[str, ...] | None = Field(
        default=None, description="What of this problem some menu options need, e.g. a bias; None: not known"
    )
    language: str = Field(default="c", description="What kernels are written in, as Markdown names it")
    timing: str = Field(default="", description="Which time counts, and what it includes")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def digest(self) -> str:
        """Identity of the problem: changes whenever an evaluation could come out differently."""
        text = self.model_dump_json(include={"id", "dims", "tensors", "signature", "semantics", "tolerance"})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---------------------------------------------------------------- compile, evaluate


class Diagnostic(Record):
    severity: Literal["error", "warning", "note"]
    message: str
    line: int | None = None
    column: int | None = None


class Compilation(Record):
    ok: bool
    compiler: str = Field(description="Name and version")
    diagnostics: tuple[Diagnostic, ...] = ()
    artifact: str | None = Field(default=None, description="Digest of the compiled artefact")
    code: str | None = Field(
        default=None, description="Digest of machine code and data alone: equal where sources differ in names or layout"
    )
    facts: dict[str, int] = Field(default_factory=dict, description="Static facts, e.g. text_bytes, stack_bytes")
    seconds: float


class Latency(Record):
    value: float
    unit: str = Field(description="cycles, ns, us, or instructions: never compared with one another")
    statistic: str = Field(description="What was timed, e.g. 'first call, cold memory'")
    spread: float | None = Field(
        default=None, description="Interquartile range in the same unit; None for one deterministic run"
    )
    error_percent: float | None = Field(default=None, description="For estimates: the engine's stated median error")


UNSUPPORTED = "unsupported"  # kind of a fault: right or wrong, the engine cannot tell


class Fault(Record):
    """Why a kernel was stopped: what it did, where."""

    kind: str = Field(description="e.g. illegal_address, limit_exceeded, uninitialised_read, endless_loop")
    message: str
    instruction: str | None = None
    line: int | None = Field(
        default=None, description="Line of the kernel's source, where the debug information tells it"
    )
    call: int | None = Field(default=None, description="Which call of the kernel, from 1")


class Mismatch(Record):
    output: str
    index: tuple[int, ...]
    got: float | None = Field(description="None: infinite, or not a number")
    expected: float

    @property
    def text(self) -> str:
        found = "no finite number" if self.got is None else f"{self.got:g}"
        return f"{self.output}{list(self.index)}: got {found}, expected {self.expected:g}"


class Beside(Record):
    """Another kernel, timed in turns with this one: both met the same clocks and temperature."""

    kernel: str = Field(description="Digest of the other kernel's normalised source")
    speed: float = Field(description="Its latency / this one's, median over pairs of calls: above 1 this one is faster")
    low: float = Field(description="Lower quartile")
    high: float = Field(description="Upper quartile")
    certain: bool = Field(description="Whether the difference is above the noise, one way or the other")


class Evaluation(Record):
    """The verdict on one kernel, and its latency if it passed."""

    problem: str
    kernel: str = Field(description="Digest of the normalised source")
    verdict: Verdict
    message: str = Field(description="One sentence: why, and what to do about it")
    engine: str
    engine_version: str
    source: LatencySource
    latency: Latency | None = None
    warm_latency: Latency | None = Field(
        default=None, description="The second call, caches warm; not of calls so long that it would tell little"
    )
    utilisation: float | None = Field(default=None, description="Bound / latency, 0 to 1")
    beside: Beside | None = Field(default=None, description="Set where it was timed against another kernel")
    compilation: Compilation | None = None
    fault: Fault | None = None
    mismatches: tuple[Mismatch, ...] = Field(default=(), description="The first few wrong elements")
    wrong_elements: int | None = None
    input_sets: tuple[str, ...] = ()
    seed: int
    counters: dict[str, int | None] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict, description="Wall clock of compile, simulate, check")
    log: str | None = Field(default=None, description="File with what the engine printed, where it is kept")
    cached: bool = False

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


# ---------------------------------------------------------------- profile


class UnitTime(Record):
    unit: str
    busy: int = Field(description="Cycles this unit worked; in the unit of the latency")
    share: float = Field(description="busy / total, 0 to 1")


class Stall(Record):
    """Time in which the main compute unit did not work, by cause; causes do not overlap."""

    cause: str
    cycles: int = Field(description="In the unit of the latency")
    share: float


class LineCost(Record):
    line: int
    cycles: int = Field(description="CPU cycles spent on this source line, stalls included; or ns of its instructions")
    text: str


class Bottleneck(Record):
    """Computed from the counters by fixed rules, never asked of a model."""

    id: str = Field(description="Stable id that menu options name as trigger, e.g. bank_conflict")
    explanation: str
    evidence: dict[str, float] = Field(default_factory=dict)


class Traffic(Record):
    tensor: str
    bytes_moved: int
    bytes_needed: int
    reloads: float = Field(description="bytes_moved / bytes_needed")
    reuse: float | None = Field(default=None, description="Multiply-accumulates per element moved; for matmul operands")


class Occupancy(Record):
    """How much of a local memory holds rows that were written and are still to be read, over the call."""

    memory: str
    capacity: int = Field(description="In `unit`")
    peak: int = Field(description="Largest of the averages below")
    interval: int = Field(description="Cycles that each average covers, from the call's start; the last may be shorter")
    live: tuple[int, ...] = Field(description="Average in use in each interval")
    unit: str = Field(default="rows", description="rows, or bytes of each partition")


class Activity(Record):
    """When a unit worked: a timeline in few characters."""

    unit: str
    interval: int = Field(description="Time that each digit covers, from the call's start; the last may be shorter")
    busy: str = Field(description="Tenths of each interval in which the unit had work: a digit each, A for all of it")

    @classmethod
    def of(cls, unit: str, interval: int, percent: Iterable[float]) -> Activity:
        return cls(unit=unit, interval=interval, busy="".join("0123456789A"[round(share / 10)] for share in percent))


class Span(Record):
    """A part of the call: a kernel launch, say."""

    name: str
    start: float = Field(description="From the call's start, in the unit of the latency")
    duration: float
    detail: dict[str, float] = Field(default_factory=dict)


class Roofline(Record):
    """What memory traffic alone would allow."""

    intensity: float = Field(description="Work per byte moved between memory and accelerator")
    ridge: float = Field(description="Intensity from which on the compute unit is the limit, not this memory")
    dram_intensity: float | None = Field(default=None, description="Work per byte fetched from DRAM")
    dram_ridge: float | None = Field(default=None, description="The same for DRAM bandwidth")
    attainable: float = Field(description="Work per unit of time that the traffic allows, at most the unit's peak")
    achieved: float = Field(description="Work per unit of time")
    bound: str = Field(description="Name of the ceiling that limits at this traffic")
    work: Literal["MACs", "flops"] = Field(default="MACs", description="What is counted as work")
    time: Literal["cycle", "ns"] = "cycle"
    peaks: dict[str, float] = Field(
        default_factory=dict,
        description="Of the machine's units: work per unit of time; these three in a tool's result only in _meta",
    )
    memories: dict[str, float] = Field(default_factory=dict, description="Of its memories: bytes per unit of time")
    intensities: dict[str, float] = Field(
        default_factory=dict, description="Work per byte that the kernel moves at each memory; the first is `intensity`"
    )


# Fields that a page draws and no model needs: a tool's result has them, in full, in `_meta` under this key.
DRAWN = "io.github.autocomp-mcp/drawn"
DRAWN_FIELDS = ("activity", "spans", "occupancy", "roofline")


class Profile(Record):
    problem: str
    kernel: str
    engine: str
    engine_version: str
    source: LatencySource
    latency: Latency
    utilisation: float | None
    counters: dict[str, int | None]
    units: tuple[UnitTime, ...]
    stalls: tuple[Stall, ...]
    bottlenecks: tuple[Bottleneck, ...] = Field(description="Most costly first")
    commands: dict[str, int] = Field(default_factory=dict, description="Commands issued, by type; none: left out")
    traffic: tuple[Traffic, ...] = ()
    roofline: Roofline | None = None
    occupancy: tuple[Occupancy, ...] = ()
    activity: tuple[Activity, ...] = Field(
        default=(), description="When each unit worked; in a tool's result only in _meta"
    )
    spans: tuple[Span, ...] = Field(
        default=(), description="The call's launches in order, the first ones; left out of tools' results"
    )
    lines: tuple[LineCost, ...] = Field(default=(), description="Most costly source lines first")
    timeline: str | None = Field(
        default=None, description="File with the timeline (Chrome/Perfetto JSON), if asked for"
    )


class DetailedProfile(Profile):
    """With what only somebody who looks closely wants: every line, and the waits of every unit that tells them."""

    main: str = Field(description="The unit whose waits `stalls` are")
    waits: dict[str, tuple[Stall, ...]] = Field(
        default_factory=dict, description="Of other units, as far as the engine tells them"
    )
    lines_mean: str = Field(default="", description="What the time of a line is on this engine; empty: it tells none")

    @classmethod
    def of(
        cls, profile: Profile, main: str, lines_mean: str, waits: Mapping[str, tuple[Stall, ...]] | None = None
    ) -> Self:
        """`profile` has all lines."""
        fields = {name: getattr(profile, name) for name in Profile.model_fields}
        return cls(**fields, main=main, lines_mean=lines_mean, waits=dict(waits or {}))
