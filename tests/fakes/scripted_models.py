"""Models for the synthetic target of landscape.py that do what a test says; they keep every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autocomp_mcp.agent.models.base import CodeReply, CodeRequest, Models, PlanReply, PlanRequest
from autocomp_mcp.agent.models.budget import Use
from autocomp_mcp.agent.runs.candidate import Plan
from autocomp_mcp.agent.runs.status import Tokens
from landscape import kernel, values_of

Planned = Callable[[PlanRequest], str]
Coded = Callable[[CodeRequest], str]


def raised(source: str, option: str, by: int = 1) -> str:
    """The kernel with the option's number raised."""
    values = values_of(source)
    assert values is not None
    name = option.removeprefix("more-")
    return kernel(**{**values, name: values[name] + by})


class ScriptedModels(Models):
    """By default the menu's options in turn, each raised by one."""

    spec = "scripted"
    priced = True

    def __init__(
        self,
        planned: Planned = lambda request: request.menu[request.slot % len(request.menu)].id,
        coded: Coded = lambda request: raised(request.parent.source, request.plan.option, 1 + request.code),
        *,
        prices: Mapping[str, float] | None = None,
        tokens: int = 100,
    ) -> None:
        self.prices = prices or {self.spec: 0.0}
        self.planners = self.coders = dict.fromkeys(self.prices, 1.0)
        self.plans: list[PlanRequest] = []
        self.codes: list[CodeRequest] = []
        self._planned, self._coded, self._tokens = planned, coded, Tokens(output=tokens)

    def _price(self, model: str | None) -> float:
        return self.prices[model or self.spec]

    def most(self, request: PlanRequest | CodeRequest) -> Use:
        return Use(self._price(request.model), self._tokens.total)

    async def plan(self, request: PlanRequest) -> PlanReply:
        self.plans.append(request)
        plan = Plan(option=self._planned(request), text="raise it")
        return PlanReply(plan=plan, usage=self._tokens, cost_usd=self._price(request.model))

    async def generate(self, request: CodeRequest) -> CodeReply:
        self.codes.append(request)
        cost = self._price(request.model)
        if request.direct is None:
            return CodeReply(source=self._coded(request), usage=self._tokens, cost_usd=cost)
        option = request.direct.menu[(request.direct.slot + request.code) % len(request.direct.menu)].id
        return CodeReply(source=raised(request.parent.source, option), option=option, usage=self._tokens, cost_usd=cost)
