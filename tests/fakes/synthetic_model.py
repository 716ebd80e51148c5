"""A seeded language model without language: it plans and codes like one that knows a little, and often errs.

It chooses from the menu it is shown by tastes of its own, which depend on option and problem and are no better than
chance, by the menu's order, by the diagnosis if the prompt has it, and by what it is told was tried or paid before. Its
codes are the menu's rewrites with a probability that depends on the option; otherwise they do not compile, compute
nonsense, or change nothing. All rates are in `Habits`, so that conclusions can be checked against other ones.
"""

from __future__ import annotations

import math
from functools import cache
from random import Random
from typing import Any, NamedTuple

from autocomp_mcp.agent.models.base import CodeReply, CodeRequest, Models, PlanReply, PlanRequest
from autocomp_mcp.agent.runs.candidate import Plan
from autocomp_mcp.agent.runs.status import Tokens
from autocomp_mcp.agent.toolbox import OptionDetail, Toolbox
from gemm_tools import spoilt, unspoilt


class Habits(NamedTuple):
    taste: float = 0.8  # spread (log) of how much it likes an option, per option and problem
    follows_diagnosis: float = 2.0  # times as much more weight for an option against the costliest bottleneck
    position: float = 0.95  # weight of a menu's next line relative to the one before
    tried: float = 0.4  # weight of an option that was tried on this kernel, for each time
    shown: float = 1.5  # weight of an option that an example of an earlier run speaks for
    inapplicable: float = 0.35  # weight of an option that cannot change this kernel: it does not always see that
    as_planned: float = 0.75  # of the codes that work: those that do what the plan says, not another variant
    works: tuple[float, float] = (0.35, 0.85)  # share of codes that work: of the hardest and the easiest option
    repaired: float = 0.55  # of failed codes, at each attempt
    weak: float = 0.3  # success of the weak model relative to the other
    price_usd: tuple[float, float] = (0.01, 0.03)  # of a call, and of one of the weak model
    at_once: float = 0.8  # success without a plan, relative to that with one
    broken: tuple[float, float, float] = (0.4, 0.4, 0.2)  # of codes that fail: compile error, wrong result, no change
    variant: float = 0.7  # weight of an option's next variant relative to the one before


HABITS = Habits()
BROKEN = ("compile_error", "wrong_result", "unused")


WEAK = "synthetic-weak"  # a second model that fails more often and costs more


class SyntheticModels(Models):
    spec = "synthetic"

    def __init__(self, toolbox: Toolbox, habits: Habits = HABITS, *, with_weak: bool = False) -> None:
        self.planners = self.coders = {self.spec: 1.0, **({WEAK: 1.0} if with_weak else {})}
        self._toolbox = toolbox
        self._habits = habits
        self._details: dict[tuple[str, str], OptionDetail] = {}  # follows from kernel and option; kept to save calls

    async def plan(self, request: PlanRequest) -> PlanReply:
        option, detail = await self._option(request, request.rng("synthetic", request.attempt))
        if option is None or detail is None:
            return PlanReply(complaint="the menu is empty", **self._used(request))
        variant = self._variant(detail, request.rng("variant", request.attempt))
        wanted = request.follow.text if request.follow else ""
        if f"[{variant}]" not in wanted:
            named = [r.name for r in detail.rewrites if f"[{r.name}]" in wanted]
            variant = named[0] if named else variant
        return PlanReply(plan=Plan(option=option, text=f"{detail.option.title} [{variant}]"), **self._used(request))

    async def generate(self, request: CodeRequest) -> CodeReply:
        rng = Random(f"{request.seed}/{request.key}/{request.attempt}/{request.plan.text}")
        source, option, ease = unspoilt(request.parent.source), request.plan.option, 1.0
        detail: OptionDetail | None
        if request.direct is not None:
            chosen, detail = await self._option(request.direct, rng)
            if chosen is None:
                return CodeReply(complaint="the menu is empty", **self._used(request))
            option, ease = chosen, self._habits.at_once
        else:
            detail = await self._detail(option, request.problem.id, source)
        names = [rewrite.name for rewrite in detail.rewrites] if detail else []
        works = self.success(option) * ease if request.failed_source is None else self._habits.repaired
        works *= self._habits.weak if request.model == WEAK else 1.0
        applied = option if request.direct is not None else None
        if names and detail and rng.random() < works:
            planned = next((name for name in names if f"[{name}]" in request.plan.text), None)
            if planned is None or rng.random() >= self._habits.as_planned:
                planned = self._variant(detail, rng)
            made = await self._toolbox.get_optimization(option, request.problem.id, source=source, variant=planned)
            return CodeReply(source=made.source, option=applied, **self._used(request))
        how = rng.choices(BROKEN, self._habits.broken)[0] if names else rng.choices(BROKEN, (1, 1, 2))[0]
        made_worse = spoilt(source, how, rng.randrange(10**6))
        return CodeReply(source=made_worse, option=applied, **self._used(request))

    def _used(self, request: PlanRequest | CodeRequest) -> dict[str, Any]:
        return {"usage": _TOKENS, "cost_usd": self._habits.price_usd[request.model == WEAK]}

    def success(self, option: str) -> float:
        """Share of its codes for this option that work."""
        low, high = self._habits.works
        return low + (high - low) * Random(f"success/{option}").random()

    async def _option(self, request: PlanRequest, rng: Random) -> tuple[str | None, OptionDetail | None]:
        h = self._habits
        source = unspoilt(request.parent.source)
        sees = "bottlenecks" in request.feedback
        paid = {example.plan.option for example in request.examples}
        weights: dict[str, float] = {}
        details: dict[str, OptionDetail] = {}
        for place, offer in enumerate(request.menu):
            details[offer.id] = await self._detail(offer.id, request.problem.id, source)
            weight = _taste(offer.id, request.problem.id) ** h.taste * h.position**place
            cause = details[offer.id].option.addresses([found.id for found in request.bottlenecks]) if sees else None
            weight *= 1 + h.follows_diagnosis / 2**cause if cause is not None else 1.0
            weight *= h.tried ** sum(attempt.option == offer.id for attempt in request.tried)
            weight *= (h.shown if offer.id in paid else 1.0) * (1.0 if details[offer.id].rewrites else h.inapplicable)
            weights[offer.id] = max(weight, 1e-9)
        if not weights:
            return None, None
        chosen = rng.choices(list(weights), list(weights.values()))[0]
        return chosen, details[chosen]

    async def _detail(self, option: str, problem: str, source: str) -> OptionDetail:
        if (option, source) not in self._details:
            found = await self._toolbox.get_optimization(option, problem, source=source)
            self._details[option, source] = found
        return self._details[option, source]

    def _variant(self, detail: OptionDetail, rng: Random) -> str | None:
        names = [rewrite.name for rewrite in detail.rewrites]
        decay = [self._habits.variant**rank for rank in range(len(names))]
        return rng.choices(names, decay)[0] if names else None


@cache
def _taste(option: str, problem: str) -> float:
    return math.exp(Random(f"taste/{option}/{problem}").gauss(0, 1))


_TOKENS = Tokens(input=4000, output=1500)
