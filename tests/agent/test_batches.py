"""Batch mode: calls that wait together go out together, each gets its own answer, at half the price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.errors import AgentUsageError
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, Landscape
from language_bench import CALL_USD, SMALL, bench, clever
from messages_api import MessagesApi, status

pytestmark = pytest.mark.anyio
FAST: dict[str, Any] = {"batch": True, "batch_window_s": 0.02, "batch_poll_s": (0.01, 0.02)}
WIDE = SMALL | {"plans": 4, "max_parallel_model": 8}


async def run(api: MessagesApi, home: Path, **settings: Any) -> RunStatus:
    async with bench(api, home, **FAST) as shared:
        return await search(PROBLEM, SearchSettings.for_model("x", **(WIDE | settings)), run_id="r", **shared)


async def test_the_same_search_in_two_batches_for_half_the_price(tmp_path: Path) -> None:
    with MessagesApi(clever) as api:
        async with bench(api, tmp_path / "a") as shared:
            direct = await search(PROBLEM, SearchSettings.for_model("x", **WIDE), run_id="r", **shared)
    with MessagesApi(clever) as api:
        result = await run(api, tmp_path / "b")
        assert [len(batch.requests) for batch in api.batches.values()] == [4, 4]
        assert all(batch.looks >= api.patience and not batch.cancelled for batch in api.batches.values())
    assert (result.best, result.lineage, result.model_calls) == (direct.best, direct.lineage, 8)
    assert result.cost_usd == pytest.approx(8 * CALL_USD / 2)


async def test_single_calls_that_fail_go_into_the_next_batch(tmp_path: Path) -> None:
    with MessagesApi(status(529), clever, status(410), status(500), clever) as api:
        result = await run(api, tmp_path)
        assert [len(batch.requests) for batch in api.batches.values()] == [4, 4, 3], (
            "a plan's code waits for no other plan"
        )
    assert result.state == "finished" and result.model_calls == 8 and result.evaluations == 5


async def test_a_call_that_is_refused_fails_the_run(tmp_path: Path) -> None:
    with MessagesApi(status(400)) as api:
        result = await run(api, tmp_path)
        assert len(api.batches) == 1
    assert result.state == "failed" and "invalid_request_error: fake 400" in str(result.stop_reason)


async def test_a_cancelled_run_cancels_its_batch(tmp_path: Path) -> None:
    with MessagesApi(clever) as api:
        api.patience = 10_000
        async with bench(api, tmp_path, **FAST) as shared, anyio.create_task_group() as tasks:

            async def go() -> None:
                await search(PROBLEM, SearchSettings.for_model("x", **WIDE), run_id="r", **shared)

            tasks.start_soon(go)
            with anyio.fail_after(60):
                while not any(b.looks for b in api.batches.values()):  # noqa: ASYNC110 - in a thread
                    await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()
        assert [batch.cancelled for batch in api.batches.values()] == [True]


async def test_who_waits_first_may_go_and_the_others_get_their_answers(tmp_path: Path) -> None:
    answers: dict[str, Any] = {}
    with MessagesApi(lambda body: body["messages"][0]["content"]) as api:
        async with bench(api, tmp_path, **FAST) as shared:
            batcher = shared["models"].transport._batcher

            async def ask(text: str, scope: anyio.CancelScope) -> None:
                body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
                with scope:
                    answers[text] = (await batcher.ask(body)).message.content[0].text

            scopes = [anyio.CancelScope() for _ in range(3)]
            async with anyio.create_task_group() as tasks:
                for number, scope in enumerate(scopes):
                    tasks.start_soon(ask, f"question {number}", scope)
                with anyio.fail_after(60):
                    while not any(b.looks for b in api.batches.values()):  # noqa: ASYNC110 - in a thread
                        await anyio.sleep(0.005)
                scopes[0].cancel()
        assert len(api.batches) == 1 and not api.batches["msgbatch_0"].cancelled
    assert answers.items() >= {"question 1": "question 1", "question 2": "question 2"}.items()


async def test_only_the_provider_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    async with Toolbox.connect(Landscape().server) as toolbox:
        for spec in ("bedrock:x", "openai:x"):
            with pytest.raises(AgentUsageError, match="only anthropic: models"):
                make_models(spec, toolbox, batch=True, base_url="http://127.0.0.1:9")
        with pytest.raises(AgentUsageError, match="takes no options, got batch"):
            make_models("offline", toolbox, batch=True)
