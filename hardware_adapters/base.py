"""The contract every target keeps, and the result types that flow through the house.

Nothing here knows a target. Every type is a pydantic model that travels unchanged through
MCP as structured content, so a field's description is written for the model that reads it.
`None` always means "not known", never zero.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

Verdict = Literal["passed", "compile_error", "wrong_result", "crashed", "timed_out", "rejected"]
LatencySource = Literal["estimated", "measured"]
MAX_SOURCE_BYTES = 512 * 1024


class Record(BaseModel):
    """Base of all result types: immutable, and tolerant of fields a newer server adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


# ---------------------------------------------------------------- errors


class AdapterError(Exception):
    """Anything an adapter refuses or cannot do; the message says what to do next."""


class UsageError(AdapterError):
    """The caller's mistake: the same call will fail again until its arguments change."""


class UnknownProblemError(UsageError):
    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"unknown problem {problem!r}: {hint}")
        self.problem = problem


class UnknownEngineError(UsageError):
    def __init__(self, engine: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown engine {engine!r}; this target has: {', '.join(known)}")
        self.engine = engine


class InvalidSourceError(UsageError):
    """The source is empty, too long, or not text: refused before anything runs."""


class EnvironmentLackError(AdapterError):
    """This machine lacks what was asked for (a compiler, a tool, a device)."""


class EngineFailure(AdapterError):
    """The infrastructure failed, not the candidate; never recorded against a kernel."""


# ---------------------------------------------------------------- problems and kernels


class Tensor(Record):
    """One argument of a kernel, row-major."""

    name: str
    role: Literal["input", "output"]
    shape: tuple[int, ...]
    dtype: str = Field(description="NumPy name of the element type, e.g. int8")


class Work(Record):
    """What must be done whatever the schedule; bytes count every operand once."""

    macs: int
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
    bound: Bound
    rules: tuple[str, ...] = Field(description="What a kernel for this target must keep to")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def digest(self) -> str:
        """Identity of the problem: changes whenever an evaluation could come out differently."""
        text = self.model_dump_json(include={"id", "dims", "tensors", "signature", "semantics", "tolerance"})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_COMMENTS = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*.*?\*/", re.DOTALL)


def _without_comments(source: str) -> str:
    return _COMMENTS.sub(lambda m: m[0] if m[0][0] in "\"'" else " ", source)


def normalise_source(source: str) -> str:
    """C-like source without comments and insignificant white space: what makes two kernels the same text."""
    bare = _without_comments(source.replace("\r\n", "\n"))
    return "\n".join(" ".join(line.split()) for line in bare.split("\n") if line.strip())


def kernel_digest(source: str) -> str:
    """A kernel's name: SHA-256 of its normalised source, 16 hex digits; see `kernel_identity` for comparing."""
    return hashlib.sha256(normalise_source(source).encode()).hexdigest()[:16]


# Lines that are joined, or ended, where `normalise_source` does not see it: a comment may go on, or end earlier.
_JOINED_LINES = re.compile(r"\\\s*\n|\?\?/|\r(?!\n)")
# In text without comments: literals, whose white space counts, and what is white space to Python but not to C.
_COUNTED_LAYOUT = re.compile(r"__LINE__|^(?![ \t]*#[ \t]*include)[^\n]*\"|'|[^\S \t\n\r\f\v]", re.MULTILINE)


def kernel_identity(source: str) -> str:
    """What two sources share when they are one kernel: `kernel_digest`, or the digest of the very text (16 hex digits)
    where layout can change the meaning. Results of one may be taken for the other."""
    bare = _without_comments(source)
    if _JOINED_LINES.search(source) or _COUNTED_LAYOUT.search(bare):
        return hashlib.sha256(source.encode()).hexdigest()[:16]
    return kernel_digest(source)


def check_source(source: str) -> None:
    """Refuse what no compiler should see. Raises InvalidSourceError."""
    if not source.strip():
        raise InvalidSourceError("the source is empty: pass the kernel's full text")
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:  # JSON can hold half of a UTF-16 pair, which is no character
        line = source.count("\n", 0, error.start) + 1
        found = ascii(source[error.start])
        raise InvalidSourceError(f"line {line} of the source holds {found}, which is no character") from error
    if size > MAX_SOURCE_BYTES:
        raise InvalidSourceError(f"the source has {size} bytes; at most {MAX_SOURCE_BYTES} are taken")
    if "\x00" in source:
        raise InvalidSourceError("the source contains a NUL byte")


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
    busy: int = Field(description="Cycles this unit worked")
    share: float = Field(description="busy / total, 0 to 1")


class Stall(Record):
    """Cycles in which the main compute unit did not work, by cause; causes do not overlap."""

    cause: str
    cycles: int
    share: float


class LineCost(Record):
    line: int
    cycles: int = Field(description="CPU cycles spent on this source line, stalls included")
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
    capacity: int = Field(description="Rows")
    peak: int = Field(description="Largest of the averages below")
    interval: int = Field(description="Cycles that each average covers, from the call's start; the last may be shorter")
    live: tuple[int, ...] = Field(description="Average rows live in each interval")


class Roofline(Record):
    """What memory traffic alone would allow. Units of work are multiply-accumulates (MACs)."""

    intensity: float = Field(description="MACs per byte moved between memory and accelerator")
    ridge: float = Field(description="Intensity from which on the array is the limit, not its memory port")
    dram_intensity: float | None = Field(default=None, description="MACs per byte fetched from DRAM")
    dram_ridge: float | None = Field(default=None, description="The same for DRAM bandwidth")
    attainable: float = Field(description="MACs per cycle that the traffic allows, at most the array's peak")
    achieved: float = Field(description="MACs per cycle")
    bound: Literal["array", "port", "dram"] = Field(description="Which of the three limits at this traffic")


class Profile(Record):
    problem: str
    kernel: str
    engine: str
    engine_version: str
    source: LatencySource
    latency: Latency
    utilisation: float
    counters: dict[str, int | None]
    units: tuple[UnitTime, ...]
    stalls: tuple[Stall, ...]
    bottlenecks: tuple[Bottleneck, ...] = Field(description="Most costly first")
    commands: dict[str, int] = Field(default_factory=dict, description="Commands issued, by type; none: left out")
    traffic: tuple[Traffic, ...] = ()
    roofline: Roofline | None = None
    occupancy: tuple[Occupancy, ...] = ()
    lines: tuple[LineCost, ...] = Field(default=(), description="Most costly source lines first")
    timeline: str | None = Field(
        default=None, description="File with the timeline (Chrome/Perfetto JSON), if asked for"
    )


# ---------------------------------------------------------------- engines and targets


class EngineStatus(Record):
    name: str
    kind: Literal["simulator", "hardware"]
    available: bool
    reason: str = Field(description="Why it is (un)available, and the step that would make it so")
    version: str | None = None
    source: LatencySource
    trust: str = Field(description="How far its numbers were verified, and against what")
    default: bool = False
    patience_s: float = Field(default=60.0, description="Wall clock that suits one evaluation")
    profiles: bool = Field(default=True, description="Whether profile_kernel works with it")
    ranks: bool = Field(default=True, description="Whether its latency tells the faster kernel; instructions do not")


class TargetStatus(Record):
    name: str
    title: str
    engines: tuple[EngineStatus, ...]
    families: tuple[str, ...]


class Rewrite(Record):
    """A mechanical way to apply a menu option to a kernel that was made from a schedule."""

    name: str = Field(description="Pass as `variant` to get the rewritten source")
    summary: str


class HardwareAdapter(ABC):
    """One target. Methods that run anything are async and cancel cleanly: no process outlives a cancelled call."""

    target: str
    title: str

    @abstractmethod
    def engines(self) -> list[EngineStatus]:
        """Every engine of this target, available or not; exactly one is the default."""

    def engine(self, name: str | None = None) -> EngineStatus:
        """The engine of this name, the default one without a name. Raises UnknownEngineError."""
        engines = self.engines()
        chosen = next((e for e in engines if (e.default if name is None else e.name == name)), None)
        if chosen is None:
            raise UnknownEngineError(str(name), [e.name for e in engines])
        return chosen

    def trust(self, problem_id: str, engine: str) -> str | None:
        """How far this engine's latencies of this problem can be believed; None for an engine that does not exist."""
        return next((status.trust for status in self.engines() if status.name == engine), None)

    def configuration(self, engine: str) -> str:
        """Digest of whatever else decides this engine's results (compiler, flags, settings): part of the cache key."""
        return ""

    @abstractmethod
    def families(self) -> Mapping[str, str]:
        """Operator families: name -> pattern of its ids, e.g. {'gemm': 'gemmini/gemm-MxNxK'}."""

    @abstractmethod
    def problems(self) -> list[ProblemSummary]:
        """Named example problems; families take other dimensions in the id."""

    def suites(self) -> Mapping[str, str]:
        """Named sets of problems, e.g. those of a publication: name -> what they are."""
        return {}

    def suite(self, name: str) -> list[ProblemSummary]:
        """The problems of a suite. Raises UsageError for a name that `suites` does not have."""
        raise UsageError(f"{self.target} has no suite {name!r}; it has: {', '.join(self.suites()) or 'none'}")

    @abstractmethod
    def problem(self, problem_id: str) -> Problem:
        """Raises UnknownProblemError, with the `nearest` id in its text."""

    def nearest(self, problem_id: str) -> str | None:
        """The valid id that was probably meant by one that is none, with its dimensions; None when nothing is near."""
        return None

    @abstractmethod
    def baseline(self, problem: Problem) -> str:
        """Source of a straightforward, correct kernel."""

    def reference_kernel(self, problem: Problem) -> str | None:
        """Source of a kernel as the vendor's own library would do it, to compare with; None where there is none."""
        return None

    async def prepare(self, engine: str | None, announce: Callable[[str], None]) -> None:
        """Build what the engine needs and this machine has not built yet; `announce` is told what ('the simulator')
        before a build begins. The other methods need no such call: they build too.
        Raises UnknownEngineError, EnvironmentLackError."""
        return None

    @abstractmethod
    async def compile(self, problem: Problem, source: str) -> Compilation:
        """Errors of the kernel are data. Raises InvalidSourceError, EnvironmentLackError (no compiler)."""

    @abstractmethod
    async def evaluate(
        self, problem: Problem, source: str, *, engine: str | None = None, seed: int = 0, timeout_s: float = 60.0
    ) -> Evaluation:
        """Compile, run on several input sets, check, time. `seed` varies the inputs; they also depend on the kernel's
        digest, so no two kernels see the same data. Raises UsageError, EnvironmentLackError, EngineFailure."""

    def search_engine(self, name: str) -> EngineStatus:
        """The engine, if a search can be steered by it. Raises UnknownEngineError, UsageError."""
        status = self.engine(name)
        if status.ranks:
            return status
        raise UsageError(
            f"engine {name!r} counts instructions, which do not tell the faster kernel: search with another engine, "
            f"and let {name!r} confirm what is found (--confirm {name}, or the setting confirm)"
        )

    @abstractmethod
    async def profile(
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        timeline: Path | None = None,
        timeout_s: float = 60.0,
    ) -> Profile | Evaluation:
        """A Profile, or the Evaluation that says why the kernel cannot be profiled. Raises as `evaluate`."""

    @abstractmethod
    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        """Mechanical ways to apply the menu option to this source; empty when there is none."""

    @abstractmethod
    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        """The rewritten source. Raises UsageError for a variant that `rewrites` does not name."""
