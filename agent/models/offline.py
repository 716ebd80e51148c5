"""A model without a model: picks menu options by rule and applies their ready-made rewrites.

It goes through the same two phases and the same tools as a language model. Which rewrite to try is drawn by weight:
options that address the profile's bottleneck first, the menu's most promising variants before the others, and more of
what has paid in this run.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, NamedTuple

import anyio

from ..errors import AgentUsageError, ToolUsageError
from ..runs.candidate import Plan
from ..toolbox import Toolbox
from .base import CodeReply, CodeRequest, Models, PlanReply, PlanRequest

TRIGGERED = 3.0  # extra weight of an option that addresses the costliest bottleneck; half for the next, and so on
VARIANT_DECAY = 0.6  # rewrites come most promising first
KEPT_RANKINGS = 64
NO_REWRITES = (
    "the offline tuner changes only kernels that carry a schedule in their first line, and this one does not; "
    "a language model can change any kernel (--model)"
)


class _Choice(NamedTuple):
    option: str
    variant: str
    summary: str
    why: str
    weight: float


class OfflineModels(Models):
    spec = "offline"
    mechanical = True

    def __init__(self, toolbox: Toolbox) -> None:
        self.planners = self.coders = {self.spec: 1.0}
        self._toolbox = toolbox
        self._rankings: dict[tuple[str, ...], list[_Choice]] = {}  # follows from the request; kept to save calls
        self._ranking = anyio.Lock()

    async def plan(self, request: PlanRequest) -> PlanReply:
        """The slot's choice of the ranking drawn for this parent and iteration: no two slots get the same one."""
        ranking = await self._ranked(request)
        if request.slot >= len(ranking):
            none = not any(offer.rewrites for offer in request.menu) and not request.tried
            return PlanReply(
                complaint=NO_REWRITES if none else "every rewrite of this kernel has been tried", final=True
            )
        choice = ranking[request.slot]
        text = f"{choice.summary} ({choice.why})"
        return PlanReply(plan=Plan(option=choice.option, variant=choice.variant, text=text))

    async def generate(self, request: CodeRequest) -> CodeReply:
        plan = request.plan
        if plan.variant is None:
            return CodeReply(complaint="the offline model can only apply ready-made rewrites", final=True)
        try:
            detail = await self._toolbox.get_optimization(
                plan.option, request.problem.id, source=request.parent.source, variant=plan.variant
            )
        except ToolUsageError as error:
            return CodeReply(complaint=str(error), final=True)
        if detail.source is None:
            return CodeReply(complaint=f"{plan.option} returned no source for {plan.variant}", final=True)
        return CodeReply(source=detail.source)

    # ------------------------------------------------------------ ranking

    async def _ranked(self, request: PlanRequest) -> list[_Choice]:
        draw = request.key.rpartition(".")[0]
        key = (str(request.seed), draw, request.parent.digest)
        async with self._ranking:
            if key not in self._rankings:
                rng = Random("/".join(key[:2]))
                choices = await self._choices(request)
                # Gumbel noise on log-weights: sorting draws by weight without replacement (Kool et al. 2019).
                noisy = [(math.log(c.weight) - math.log(-math.log(rng.random() or 1e-12)), c) for c in choices]
                if len(self._rankings) >= KEPT_RANKINGS:
                    self._rankings.clear()
                self._rankings[key] = [choice for _, choice in sorted(noisy, key=lambda pair: -pair[0])]
            return self._rankings[key]

    async def _choices(self, request: PlanRequest) -> list[_Choice]:
        """Every rewrite of the parent that the menu offers and that was not tried on it, in the menu's order."""
        bottlenecks = tuple(bottleneck.id for bottleneck in request.bottlenecks)
        tried = {(attempt.option, attempt.variant) for attempt in request.tried}
        choices: list[_Choice] = []
        for offer in request.menu:
            if not offer.rewrites:
                continue
            detail = await self._toolbox.get_optimization(offer.id, request.problem.id, source=request.parent.source)
            cause = next((id for id in bottlenecks if id in detail.option.triggers), None)
            weight = 1.0 + (TRIGGERED / 2 ** bottlenecks.index(cause) if cause else 0.0)
            weight *= offer.score
            why = f"against {cause}" if cause else "exploring"
            for rank, rewrite in enumerate(detail.rewrites):
                if (offer.id, rewrite.name) not in tried:
                    scaled = weight * VARIANT_DECAY**rank
                    choices.append(_Choice(offer.id, rewrite.name, rewrite.summary, why, scaled))
        return choices


def make(name: str, toolbox: Toolbox, **options: Any) -> OfflineModels:
    if name:
        raise AgentUsageError(f"the offline model has no variants; write 'offline', not 'offline:{name}'")
    if options:
        raise AgentUsageError(f"the offline model takes no options, got {', '.join(sorted(options))}")
    return OfflineModels(toolbox)
