"""What the controller asks of a model: plan one optimisation, then write the code for it.

A model keeps no state that a resumed run would lack: everything it may use is in the request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from random import Random

from pydantic import Field

from ...hardware_adapters.base import Bottleneck, Evaluation, Problem, Profile, Record
from ..runs.candidate import Attempt, Candidate, Plan
from ..runs.status import Tokens
from ..settings import FEEDBACK, Feedback
from ..toolbox import OptionSummary
from .budget import Use

TRANSLATE = "translate"  # what a plan may choose besides the menu while `translate` is set


class MenuOffer(OptionSummary):
    """One option of the menu that a plan may choose from."""

    score: float = Field(default=1.0, description="What the search expects of it, relative to the others")


class Ancestor(Record):
    """A kernel on the way to the parent, and the step that made it."""

    plan: Plan
    ratio: float | None = Field(default=None, description="Latency before the step over that after it")


class Example(Record):
    """A step that paid in an earlier run on a problem of the same family: slow code made fast."""

    problem: str
    plan: Plan
    ratio: float
    diff: str = Field(description="From the slow to the fast kernel, unified, clipped")


class PlanRequest(Record):
    key: str = Field(description="iteration.parent.plan: with the seed, the source of all randomness")
    slot: int = Field(description="Which of the `slots` plans for this parent, from 0")
    slots: int
    attempt: int = 0
    complaint: str | None = Field(default=None, description="What was wrong with the reply before, on a second attempt")
    previous: str | None = Field(default=None, description="That reply, clipped")
    seed: int
    model: str | None = Field(default=None, description="Which of several planners is to answer")
    menu: tuple[MenuOffer, ...] = Field(default=(), description="Options to choose from, the most promising first")
    iteration: int
    iterations: int
    problem: Problem
    parent: Candidate
    profile: Profile | None = None
    tried: tuple[Attempt, ...] = Field(default=(), description="On this parent, before this iteration")
    ancestors: tuple[Ancestor, ...] = Field(default=(), description="Steps that led to the parent, the last one last")
    examples: tuple[Example, ...] = ()
    feedback: tuple[Feedback, ...] = FEEDBACK
    translate: bool = Field(default=False, description="Move work to the accelerator first; speed comes later")
    follow: Plan | None = Field(default=None, description="A step of an earlier run's schedule, to be taken here too")

    @property
    def choices(self) -> tuple[str, ...]:
        """Ids that the answer may name."""
        more = [TRANSLATE] if self.translate else []
        if self.follow is not None:
            more.append(self.follow.option)
        return tuple(dict.fromkeys([*more, *(offer.id for offer in self.menu)]))

    @property
    def bottlenecks(self) -> tuple[Bottleneck, ...]:
        return self.profile.bottlenecks if self.profile else ()

    def rng(self, *more: object) -> Random:
        """Depends on the seed and the key only: the same after a resume, and whatever else runs beside it."""
        return Random("/".join(map(str, (self.seed, self.key, *more))))


class CodeRequest(Record):
    key: str = Field(description="Id of the candidate to be made")
    attempt: int = 0
    complaint: str | None = Field(default=None, description="What was wrong with the reply before")
    failed_source: str | None = Field(
        default=None, description="A kernel for this plan that did not pass, to be repaired"
    )
    failure: Evaluation | None = None
    code: int = Field(description="Which of the `codes` implementations of the plan, from 0")
    codes: int
    seed: int
    model: str | None = Field(default=None, description="Which of several coders is to answer")
    edits: bool = Field(default=False, description="Answer with edits of the parent instead of the whole kernel")
    problem: Problem
    parent: Candidate
    plan: Plan
    direct: PlanRequest | None = Field(
        default=None, description="Set where planning is left out: plan and write at once, from this"
    )


class Reply(Record):
    """One call's outcome. A malformed answer is a reply with a complaint, not an error: it was paid for."""

    complaint: str | None = Field(default=None, description="Why there is no result, in words for the model")
    text: str | None = Field(default=None, description="The answer that was no good, clipped")
    final: bool = Field(default=False, description="No use asking again: refused, or nothing left to propose")
    usage: Tokens = Tokens()
    cost_usd: float | None = Field(default=0.0, description="None: price not known")


class PlanReply(Reply):
    plan: Plan | None = None


class CodeReply(Reply):
    source: str | None = None
    option: str | None = Field(default=None, description="Menu option applied, where planning was left out")


class Models(ABC):
    """The models of a run: one may plan and another write code.

    Where there are several, the search chooses who answers (`request.model`, one of `planners` or `coders`).
    """

    spec: str  # as given by the user, e.g. "anthropic:claude-sonnet-5-5"
    planners: Mapping[str, float]  # spec of each model -> its weight; of a single one, itself
    coders: Mapping[str, float]
    mechanical: bool = False  # applies ready-made rewrites: all slots of a parent share one menu, with their numbers
    priced: bool = True  # whether costs are known

    @property
    def members(self) -> Mapping[str, Models]:
        """Spec -> the model that answers by that name."""
        return dict.fromkeys([*self.planners, *self.coders], self)

    @abstractmethod
    async def plan(self, request: PlanRequest) -> PlanReply:
        """Raises ModelUnavailableError, ModelUsageError, InfrastructureError."""

    @abstractmethod
    async def generate(self, request: CodeRequest) -> CodeReply:
        """Raises as `plan`."""

    def most(self, request: PlanRequest | CodeRequest) -> Use:
        """The most that this call can use; reserved while it is in flight."""
        return Use()

    async def aclose(self) -> None:  # noqa: B027 - most models have none
        """Close connections."""
