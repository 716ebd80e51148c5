"""The contract every target keeps, and in one place all the types and errors that it speaks of.

Nothing here knows a target. `agent/` imports from this module alone; the rooms above it also use the store, the
registry and the sandbox directly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, final

from pydantic import Field

from .custom.definition import Definition, OwnProblem
from .errors import (
    AdapterError,
    EngineFailure,
    EnvironmentLackError,
    InvalidProblemError,
    InvalidSourceError,
    UnknownEngineError,
    UnknownProblemError,
    UnprovenProblemError,
    UsageError,
    mistakes,
)
from .kernel_source import (
    LANGUAGES,
    MAX_SOURCE_BYTES,
    PYTHON,
    Language,
    check_search_source,
    check_source,
    kernel_digest,
    kernel_identity,
    language_of,
    normalise_source,
)
from .results import (
    DRAWN,
    DRAWN_FIELDS,
    UNSUPPORTED,
    Activity,
    Beside,
    Bottleneck,
    Bound,
    Compilation,
    DetailedProfile,
    Diagnostic,
    Evaluation,
    Fault,
    Latency,
    LatencySource,
    LineCost,
    Mismatch,
    Occupancy,
    Problem,
    ProblemSummary,
    Profile,
    Record,
    Roofline,
    Span,
    Stall,
    Tensor,
    Traffic,
    UnitTime,
    Verdict,
    Work,
)
from .sandbox.layers import sandbox_required

__all__ = [
    "DRAWN",
    "DRAWN_FIELDS",
    "FACTS",
    "LANGUAGES",
    "MAX_SOURCE_BYTES",
    "PYTHON",
    "UNSUPPORTED",
    "Activity",
    "AdapterError",
    "Beside",
    "Bottleneck",
    "Bound",
    "Compilation",
    "Definition",
    "DetailedProfile",
    "Diagnostic",
    "EngineFailure",
    "EngineStatus",
    "EnvironmentLackError",
    "Evaluation",
    "Fault",
    "HardwareAdapter",
    "InvalidProblemError",
    "InvalidSourceError",
    "Language",
    "Latency",
    "LatencySource",
    "LineCost",
    "Mismatch",
    "Occupancy",
    "OwnProblem",
    "Problem",
    "ProblemSummary",
    "Profile",
    "Record",
    "Rewrite",
    "Roofline",
    "ServerFacts",
    "Span",
    "Stall",
    "StallCause",
    "TargetStatus",
    "Tensor",
    "Traffic",
    "UnitTime",
    "UnknownEngineError",
    "UnknownProblemError",
    "UnprovenProblemError",
    "UsageError",
    "Verdict",
    "Work",
    "check_search_source",
    "check_source",
    "kernel_digest",
    "kernel_identity",
    "language_of",
    "mistakes",
    "normalise_source",
    "sandbox_required",
]


# What a controller of several servers has to know, and no model: `_meta` of list_targets has it under this key.
FACTS = "io.github.autocomp-mcp/server"


class ServerFacts(Record):
    at_once: int | None = Field(default=None, description="Kernels that it works on at once; more of them wait")
    conditions: dict[str, str] = Field(
        default_factory=dict, description="target/engine -> digest of compiler and settings, which decide its results"
    )


class EngineStatus(Record):
    name: str
    kind: Literal["simulator", "hardware"]
    available: bool
    reason: str = Field(description="Why it is (un)available, and the step that would make it so")
    version: str | None = None
    source: LatencySource
    trust: str = Field(default="", description="How far its numbers were verified, and against what")
    default: bool = False
    patience_s: float = Field(default=60.0, description="Wall clock that suits one evaluation")
    profiles: bool = Field(default=True, description="Whether profile_kernel works with it")
    ranks: bool = Field(default=True, description="Whether its latency tells the faster kernel; instructions do not")
    in_turns: bool = Field(default=False, description="Whether run_kernel's `against` works with it")


class SandboxStatus(Record):
    """How programs that candidates or users wrote, and compilers of their sources, are confined on this machine."""

    active: tuple[str, ...] = Field(description="Layers that are there")
    missing: tuple[str, ...] = Field(default=(), description="Layers that are not; `doctor` says how to get them")


class TargetStatus(Record):
    name: str
    title: str
    engines: tuple[EngineStatus, ...]
    families: tuple[str, ...]


class Rewrite(Record):
    """A mechanical way to apply a menu option to a kernel that was made from a schedule."""

    name: str = Field(description="Pass as `variant` to get the rewritten source")
    summary: str


class StallCause(NamedTuple):
    """What a cause of a profile's stalls means, and the counters that explain its size."""

    meaning: str
    counters: tuple[str, ...]


# What is known of a kernel that compiles to this machine code.
Recall = Callable[[Compilation], Awaitable[Evaluation | None]]


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

    def causes(self) -> Mapping[str, StallCause]:
        """What the causes of stalls in this target's profiles mean; UNIT_busy is the work of the main unit itself."""
        return {}

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

    def custom(self, definition: Definition) -> Problem:
        """A problem of the user's own as this target sees it. Raises InvalidProblemError, UsageError."""
        raise UsageError(f"{self.target} takes no problems of your own")

    def nearest(self, problem_id: str) -> str | None:
        """The valid id that was probably meant by one that is none, with its dimensions; None when nothing is near."""
        return None

    @abstractmethod
    def baseline(self, problem: Problem) -> str | None:
        """Source of a straightforward, correct kernel; None for a problem of the user's own that came without one."""

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
        self,
        problem: Problem,
        source: str,
        *,
        engine: str | None = None,
        seed: int = 0,
        timeout_s: float = 60.0,
        recall: Recall | None = None,
    ) -> Evaluation:
        """Compile, run on several input sets, check, time. `seed` varies the inputs; they also depend on the kernel's
        digest, so no two kernels see the same data. `recall` is asked once the kernel is compiled: an evaluation of the
        same machine code that it knows is the answer. Raises UsageError, EnvironmentLackError, EngineFailure."""

    async def evaluate_against(
        self, problem: Problem, source: str, against: str, *, engine: str, seed: int = 0, timeout_s: float = 60.0
    ) -> Evaluation:
        """As `evaluate`, timed in turns with the kernel `against`, which is right: `beside` of the evaluation.
        Raises UsageError for an engine that cannot do that (`in_turns` of its status)."""
        able = ", ".join(status.name for status in self.engines() if status.in_turns)
        raise UsageError(f"engine {engine!r} cannot time two kernels in turns; those that can: {able or 'none'}")

    @final
    def search_engine(self, name: str | None) -> EngineStatus:
        """The engine, None the default one, if a search can be steered by it. Raises UnknownEngineError, UsageError."""
        status = self.engine(name)
        if status.ranks:
            return status
        raise UsageError(
            f"engine {status.name!r} tells no time by which kernels could be ordered: search with another engine, "
            f"and let {status.name!r} confirm what is found (--confirm {status.name}, or the setting confirm)"
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
        detail: bool = False,
    ) -> Profile | Evaluation:
        """A Profile, or the Evaluation that says why the kernel cannot be profiled; with `detail` a DetailedProfile,
        where the engine knows more than a Profile has. Raises as `evaluate`."""

    @abstractmethod
    def rewrites(self, problem: Problem, source: str, option: str) -> list[Rewrite]:
        """Mechanical ways to apply the menu option to this source; empty when there is none."""

    @abstractmethod
    def rewrite(self, problem: Problem, source: str, option: str, variant: str) -> str:
        """The rewritten source. Raises UsageError for a variant that `rewrites` does not name."""
