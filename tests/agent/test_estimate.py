"""What a search is expected to cost, without asking anybody."""

from __future__ import annotations

import pytest
from autocomp_mcp.agent.estimate import Estimate, estimate
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.status import Tokens
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from autocomp_mcp.hardware_adapters.base import Problem
from autocomp_mcp.server.terminal.figures import tokens_line
from landscape import Landscape, kernel, problem_record
from messages_api import MessagesApi

pytestmark = pytest.mark.anyio
A, B = "anthropic:claude-opus-5-5", "anthropic:claude-sonnet-5-5"


async def reckoned(spec: str, **settings: object) -> Estimate:
    with MessagesApi("never asked") as api:
        async with Toolbox.connect(Landscape().server) as toolbox:
            options = {} if spec == "offline" else {"base_url": api.url, "api_key": "k"}
            batch = {"batch": True} if settings.pop("batch", False) else {}
            models = make_models(spec, toolbox, **options, **batch)
            chosen = SearchSettings.for_model(spec, **settings)
            found = await estimate(Problem.model_validate(problem_record()), kernel(), chosen, models)
            await models.aclose()
        assert api.requests == []
    return found


async def test_calls_follow_from_the_settings() -> None:
    found = await reckoned(A, iterations=3, plans=4, codes=2, beam=5, repairs=1)
    assert (found.plan_calls, found.code_calls) == (11 * 4, 11 * 4 * 2)
    assert found.most_calls == 2 * 3 * 5 * 4 * (1 + 2 * 2)
    alone = await reckoned(A, iterations=3, plans=4, codes=2, beam=5, one_phase=True)
    assert (alone.plan_calls, alone.code_calls) == (0, 88)


async def test_costs_of_several_models_with_and_without_the_cache() -> None:
    both = await reckoned(f"{A}@3,{B}")
    first, second = both.models
    assert first.plans == 3 * second.plans and first.plans + second.plans == both.plan_calls
    assert both.cost_usd is not None and both.uncached_usd is not None
    assert both.cost_usd == pytest.approx((first.cost_usd or 0) + (second.cost_usd or 0))
    assert 0 < both.cost_usd < both.uncached_usd
    tokens = first.tokens
    assert first.cost_usd == pytest.approx(
        (tokens.input * 4 + tokens.output * 20 + tokens.cache_write * 5 + tokens.cache_read * 0.2) / 1e6
    )
    half = await reckoned(A, batch=True)
    whole = await reckoned(A)
    assert half.cost_usd == pytest.approx((whole.cost_usd or 0) / 2)


async def test_unknown_prices_and_free_models() -> None:
    found = await reckoned(f"{A},anthropic:claude-of-tomorrow")
    assert found.cost_usd is None and [m.cost_usd is None for m in found.models] == [False, True]
    assert (await reckoned("offline")).cost_usd == 0


async def test_the_line_of_tokens() -> None:
    assert tokens_line(Tokens(input=150_000, cache_write=50_000, cache_read=1_000_000, output=40_200)) == (
        "1.2 M tokens in (83% cached), 40.2 k out"
    )
    assert tokens_line(Tokens(output=7)) == "0 tokens in, 7 out"
