"""Several models in one run: the string that names them, and who is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import AgentUsageError
from autocomp_mcp.agent.models.base import CodeRequest, PlanRequest
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.models.spec import ModelSpec
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from hypothesis import given
from hypothesis import strategies as st
from landscape import PROBLEM, Landscape
from language_bench import SMALL, bench, clever
from messages_api import MessagesApi, is_plan

A, B, HAIKU = "anthropic:claude-opus-5-5", "anthropic:claude-sonnet-5-5", "anthropic:claude-haiku-4-5"


@pytest.mark.parametrize(
    ("text", "planners", "coders", "written"),
    [
        ("offline", {"offline": 1}, {"offline": 1}, "offline"),
        (f"{A}@2", {A: 2}, {A: 2}, A),
        (f" {A}@2 , {B} ", {A: 2, B: 1}, {A: 2, B: 1}, f"{A}@2,{B}"),
        (f"{A},{B}@0.5>{HAIKU}", {A: 1, B: 0.5}, {HAIKU: 1}, f"{A},{B}@0.5 > {HAIKU}"),
        (f"{A} > {A}", {A: 1}, {A: 1}, A),
        ("vertex:claude-x@20250929,vertex:y@20250929@3", {"vertex:claude-x@20250929": 1, "vertex:y@20250929": 3},
         {"vertex:claude-x@20250929": 1, "vertex:y@20250929": 3}, "vertex:claude-x@20250929,vertex:y@20250929@3"),
        ("bedrock:anthropic.x-v1:0", {"bedrock:anthropic.x-v1:0": 1}, {"bedrock:anthropic.x-v1:0": 1},
         "bedrock:anthropic.x-v1:0"),
        ("replay:a,b > c@2.jsonl", {"replay:a,b > c@2.jsonl": 1}, {"replay:a,b > c@2.jsonl": 1},
         "replay:a,b > c@2.jsonl"),
    ],
)  # fmt: skip
def test_the_grammar(text: str, planners: dict[str, float], coders: dict[str, float], written: str) -> None:
    spec = ModelSpec.parse(text)
    assert (spec.planners, spec.coders, str(spec)) == (planners, coders, written)


names = st.sampled_from(["anthropic:a", "openai:org/b:8b", "vertex:c@20250929", "bedrock:d-v1:0", "openai:e"])
weights = st.dictionaries(names, st.sampled_from([1.0, 2.0, 0.5, 10.0]), min_size=1)


@given(weights, weights)
def test_what_is_written_is_read_again(planners: dict[str, float], coders: dict[str, float]) -> None:
    written = str(ModelSpec(planners, coders))
    assert str(ModelSpec.parse(written)) == written
    if len({*planners, *coders}) > 1:
        assert ModelSpec.parse(written) == (planners, coders)


@pytest.mark.parametrize("text", ["", "a > b > c", "a,,b", "a > ", "a@0", "a,a@2", "@2"])
def test_what_names_no_models_is_refused(text: str) -> None:
    with pytest.raises(AgentUsageError, match="model"):
        ModelSpec.parse(text)


def test_options_of_a_command_line_together() -> None:
    assert str(ModelSpec.combined(["a", "b@2"])) == "a,b@2"
    assert str(ModelSpec.combined(["a"], coders=["b", "c"])) == "a > b,c"
    assert str(ModelSpec.combined([], ["a"], ["b"])) == "a > b"
    assert str(ModelSpec.combined(["x"], ["a"], ["b"])) == "a > b"
    with pytest.raises(AgentUsageError, match="--code-model"):
        ModelSpec.combined([], planners=["a"])
    with pytest.raises(AgentUsageError, match="'a' is given twice"):
        ModelSpec.combined(["a", "a"])


@pytest.mark.anyio
async def test_planners_plan_and_coders_write(tmp_path: Path) -> None:
    with MessagesApi(clever) as api:
        async with bench(api, tmp_path, f"{A} > {HAIKU}") as shared:
            result = await search(PROBLEM, SearchSettings.for_model("x", **SMALL), run_id="r", **shared)
            with pytest.raises(AgentUsageError, match="was made with model"):
                async with bench(api, tmp_path, f"{HAIKU} > {A}") as other:
                    await resume("r", **other)
    assert result.model == f"{A} > {HAIKU}"
    assert [(body["model"], is_plan(body)) for body in api.requests] == [
        ("claude-opus-5-5", True), ("claude-haiku-4-5", False)
    ]  # fmt: skip
    dear = (100 * 4 + 200 * 20 + 1000 * 5 + 5000 * 0.2) / 1e6
    cheap = (100 * 1 + 200 * 5 + 1000 * 1.25 + 5000 * 0.1) / 1e6
    assert result.cost_usd == pytest.approx(dear + cheap)


@pytest.mark.anyio
async def test_the_search_says_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests name their model; the loop's own choice is not this module's matter."""
    seen: dict[str, Any] = {}
    with MessagesApi(clever) as api:
        async with bench(api, tmp_path, f"{A}@2,{HAIKU} > {B}") as shared:
            models = shared["models"]
            assert dict(models.planners) == {A: 2.0, HAIKU: 1.0} and dict(models.coders) == {B: 1.0}
            whole = models.plan

            async def watched(request: PlanRequest) -> Any:
                seen.setdefault("plan", request)
                return await whole(request.model_copy(update={"model": HAIKU}))

            monkeypatch.setattr(models, "plan", watched)
            await search(PROBLEM, SearchSettings.for_model("x", **SMALL), **shared)
            request = seen["plan"]
            assert models.most(request.model_copy(update={"model": A})).usd > 3 * (
                models.most(request.model_copy(update={"model": HAIKU})).usd
            )
            with pytest.raises(AgentUsageError, match="is none of"):
                await models.generate(
                    CodeRequest(
                        key="1", code=0, codes=1, seed=0, model=A, problem=request.problem, parent=request.parent,
                        plan={"option": "more-width", "text": "x"},  # pyright: ignore[reportArgumentType]
                    )
                )  # fmt: skip
    assert [body["model"] for body in api.requests] == ["claude-haiku-4-5", "claude-sonnet-5-5"]


@pytest.mark.anyio
async def test_what_does_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    async with Toolbox.connect(Landscape().server) as toolbox:
        with pytest.raises(AgentUsageError, match="'offline' applies ready-made rewrites"):
            make_models("offline > openai:x", toolbox)
        mixed = make_models("anthropic:claude-opus-5-5,anthropic:claude-of-tomorrow", toolbox)
        assert not mixed.priced
        await mixed.aclose()
        with pytest.raises(AgentUsageError, match="one base URL for several providers"):
            make_models("anthropic:x,openai:y", toolbox, base_url="http://127.0.0.1:9")
