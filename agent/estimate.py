"""What a search would use, reckoned before it starts and without asking any model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from ..hardware_adapters.base import Problem, Record
from .models.base import Models
from .models.language import CHARACTERS_PER_TOKEN, LanguageModels
from .runs.status import Tokens
from .settings import SearchSettings

# A call's own part of the prompt (menu, diagnosis, plan) and its answer, in tokens, by the templates: a menu of
# 40 options with about 8,000 characters, and plans of 250 words; a kernel is as long as its parent.
ASKED_TOKENS = 3_500
PLAN_TOKENS = 700
CODE_SHARE = 1.5  # a kernel grows while it is optimised


class ModelEstimate(Record):
    """One model's share of the calls, by its weight."""

    model: str
    plans: float = Field(description="Calls")
    codes: float
    tokens: Tokens = Field(description="With the prefix and the parents read from the provider's cache")
    cost_usd: float | None = Field(description="None: price not known")
    uncached_usd: float | None = Field(description="Were nothing cached")


class Estimate(Record):
    plan_calls: int = Field(description="Expected: the first iteration has one parent, and each code passes at once")
    code_calls: int
    most_calls: int = Field(description="Malformed answers asked for again and repairs included")
    cost_usd: float | None
    uncached_usd: float | None
    models: tuple[ModelEstimate, ...]


async def estimate(problem: Problem, baseline: str, settings: SearchSettings, models: Models) -> Estimate:
    """Offline: the prefix is read through the models' toolbox, nothing else is asked for."""
    parents = 1 + settings.beam * (settings.iterations - 1)
    plans = 0 if settings.one_phase else parents * settings.plans
    codes = parents * settings.plans * settings.codes
    most = 2 * (settings.iterations * settings.beam * settings.plans)
    most = (0 if settings.one_phase else most) + most * settings.codes * (1 + settings.repairs)
    each = []
    for spec, member in models.members.items():
        share_plans = plans * _share(models.planners, spec)
        share_codes = codes * _share(models.coders, spec)
        each.append(await _of(member, spec, problem, baseline, share_plans, share_codes, parents))
    return Estimate(
        plan_calls=plans,
        code_calls=codes,
        most_calls=most,
        cost_usd=_sum(one.cost_usd for one in each),
        uncached_usd=_sum(one.uncached_usd for one in each),
        models=tuple(each),
    )


async def _of(
    member: Models, spec: str, problem: Problem, baseline: str, plans: float, codes: float, parents: int
) -> ModelEstimate:
    if not isinstance(member, LanguageModels):
        return ModelEstimate(model=spec, plans=plans, codes=codes, tokens=Tokens(), cost_usd=0.0, uncached_usd=0.0)
    calls = plans + codes
    system = len(await member.prefix(problem)) / CHARACTERS_PER_TOKEN
    kernel = len(baseline) * CODE_SHARE / CHARACTERS_PER_TOKEN
    output = plans * PLAN_TOKENS + codes * kernel
    asked = calls * ASKED_TOKENS
    # Each parent is written to the cache once and read by all later calls about it; the prefix once in all.
    written = system + min(parents, calls) * kernel if calls else 0.0
    read = max(0.0, calls * (system + kernel) - written)
    cached = Tokens(input=round(asked), output=round(output), cache_write=round(written), cache_read=round(read))
    bare = Tokens(input=round(asked + written + read), output=round(output))
    cost = member.transport.cost
    return ModelEstimate(
        model=spec, plans=plans, codes=codes, tokens=cached, cost_usd=cost(cached), uncached_usd=cost(bare)
    )


def _share(weights: Mapping[str, float], spec: str) -> float:
    return weights.get(spec, 0.0) / sum(weights.values())


def _sum(parts: Iterable[float | None]) -> float | None:
    total = 0.0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
