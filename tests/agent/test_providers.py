"""OpenAI-compatible servers end to end; what is said where a package, a region or a credential is missing."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.errors import AgentUsageError, ModelPackageError, ModelUsageError
from autocomp_mcp.agent.models import providers
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from chat_api import ChatApi, completion, error
from landscape import NAMES, PROBLEM, Landscape, kernel, values_of
from language_bench import SMALL, fenced
from messages_api import MessagesApi, plan_json, status

pytestmark = pytest.mark.anyio


@pytest.fixture
async def toolbox() -> Any:
    async with Toolbox.connect(Landscape().server) as connected:
        yield connected


def wise(body: dict[str, Any]) -> str:
    """As language_bench.clever, told apart by the words alone: not every server gets a schema."""
    text = body["messages"][1]["content"]
    slot = re.search(r"plan (\d+) of", text)
    if slot:
        return plan_json(f"more-{NAMES[(int(slot[1]) - 1) % len(NAMES)]}")
    name, values = re.search(r"<plan>\nmore-(\w+):", text), values_of(text)
    assert name is not None and values is not None
    return fenced(kernel(**{**values, name[1]: values[name[1]] + 1}))


async def run(api: ChatApi, home: Path, **settings: Any) -> RunStatus:
    options = {"base_url": api.url, "backoff_s": (0.0, 0.0), "sdk_retries": 1}
    async with Toolbox.connect(Landscape().server) as connected:
        models = make_models("openai:some/model:8b", connected, **options)
        try:
            return await search(
                PROBLEM, SearchSettings.for_model("openai:x", **(SMALL | settings)), toolbox=connected, models=models,
                journal=base_journal(home), runs_dir=home, run_id="r",
            )  # fmt: skip
        finally:
            await models.aclose()


def base_journal(home: Path) -> Any:
    from autocomp_mcp.agent.runs.journal import Journal

    return Journal(home / "db")


async def test_a_whole_search(tmp_path: Path) -> None:
    with ChatApi(wise) as api:
        result = await run(api, tmp_path, iterations=3, plans=4, beam=2, max_parallel_model=8)
    assert result.state == "finished" and result.speedup is not None and result.speedup > 1.1
    assert result.model == "openai:some/model:8b"
    calls = len(api.requests)
    tokens = result.tokens
    assert (tokens.input, tokens.cache_read, tokens.output) == (1100 * calls, 5000 * calls, 200 * calls)
    assert result.cost_usd is None, "nobody said what this server charges"
    assert {body["messages"][0]["content"] for body in api.requests} == {api.requests[0]["messages"][0]["content"]}
    assert api.requests[0]["response_format"]["json_schema"]["schema"]["required"] == ["option", "plan"]
    assert "response_format" not in api.requests[-1]


async def test_what_a_server_does_not_understand_is_left_out(tmp_path: Path) -> None:
    with ChatApi(wise, lacks=("response_format", "max_completion_tokens")) as api:
        result = await run(api, tmp_path, iterations=2)
    assert result.state == "finished" and result.evaluations == 3
    names = {"response_format", "max_completion_tokens", "max_tokens"}
    given = [sorted(names & set(body)) for body in api.requests]
    assert given[:2] == [["max_completion_tokens", "response_format"], ["max_completion_tokens"]]
    assert given[2:] == [["max_tokens"]] * 4, "each is tried once, and never again"


async def test_answers_cut_off_refused_or_without_usage(tmp_path: Path) -> None:
    with ChatApi(completion(fenced(kernel(width=5)), "length"), wise) as api:
        await run(api, tmp_path / "a")
    assert "cut off" in api.requests[1]["messages"][1]["content"]
    with ChatApi(completion("", "content_filter")) as api:
        result = await run(api, tmp_path / "b", iterations=3)
    assert len(api.requests) == 1 and "refused" in str(result.stop_reason)
    with ChatApi(lambda body: completion(wise(body), usage=None)) as api:
        result = await run(api, tmp_path / "c")
    assert result.tokens.total == 0 and result.cost_usd is None and result.evaluations == 2


async def test_trouble_passes_and_wrong_names_do_not(tmp_path: Path) -> None:
    with ChatApi(error(503, "starting"), error(429, "slow down"), wise) as api:
        assert (await run(api, tmp_path / "a")).evaluations == 2
    with ChatApi(error(404, "no model some/model:8b", "model_not_found")) as api:
        result = await run(api, tmp_path / "b")
    assert len(api.requests) == 1 and result.state == "failed" and "no model some/model:8b" in str(result.stop_reason)
    with ChatApi(error(401, "wrong key")) as api:
        result = await run(api, tmp_path / "c")
    assert len(api.requests) == 1 and "HTTP 401" in str(result.stop_reason)


async def test_a_prompt_that_is_too_long_is_one_answer_and_no_more(tmp_path: Path) -> None:
    said = "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens"
    with ChatApi(error(400, said), wise) as api:
        result = await run(api, tmp_path)
    assert result.state == "finished" and result.evaluations == 1
    assert all("response_format" in request for request in api.requests[:2]), "the schema was not at fault"
    assert "do not fit" in str(result.stop_reason)


async def test_a_price_of_ones_own(tmp_path: Path, toolbox: Toolbox) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        'models: {"openai:m": {input: 1, output: 2, cache_write: 1, cache_write_1h: 1, cache_read: 0.5, '
        "as_of: 2026-11-01}}"
    )
    with ChatApi("x") as api:
        models = make_models("openai:m", toolbox, base_url=api.url, prices=mine)
        assert models.priced
        await models.aclose()


async def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch, toolbox: Toolbox) -> None:
    for package, spec, extra in (
        ("openai", "openai:x", "openai"),
        ("boto3", "bedrock:x", "bedrock"),
        ("google.auth", "vertex:x", "vertex"),
    ):
        named = re.escape(f"pip install 'autocomp-mcp[{extra}]'")
        with monkeypatch.context() as without, pytest.raises(ModelPackageError, match=named):
            without.setitem(sys.modules, package, None)
            make_models(spec, toolbox, base_url="http://127.0.0.1:9")


async def test_missing_regions_and_keys_are_named(
    monkeypatch: pytest.MonkeyPatch, toolbox: Toolbox, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "CLOUD_ML_REGION", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for spec, wanted in (
        ("bedrock:x", "AWS_REGION"),
        ("vertex:x", "CLOUD_ML_REGION"),
        ("openai:x", "OPENAI_API_KEY.*--base-url"),
    ):
        with pytest.raises(ModelUsageError, match=wanted):
            make_models(spec, toolbox)
    for spec in ("openai:", "bedrock:", "vertex:"):
        with pytest.raises(AgentUsageError, match="which model"):
            make_models(spec, toolbox)
    with pytest.raises(AgentUsageError, match=r"options of anthropic:x: max_tokenz: Extra"):
        make_models("anthropic:x", toolbox, api_key="k", max_tokenz=3)


async def test_bedrock_speaks_to_its_own_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Signed, at the path of the model; the fake refuses, since it has no event stream of AWS."""
    for name, value in {
        "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-secret"
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with MessagesApi(status(401)) as api:
        async with Toolbox.connect(Landscape().server) as connected:
            models = make_models("bedrock:anthropic.claude-x-v1:0", connected, base_url=api.url, sdk_retries=0)
            result = await search(
                PROBLEM, SearchSettings.for_model("bedrock:x", **SMALL), toolbox=connected, models=models,
                journal=base_journal(tmp_path), runs_dir=tmp_path,
            )  # fmt: skip
            await models.aclose()
    assert "bedrock:anthropic.claude-x-v1:0: HTTP 401" in str(result.stop_reason)
    headers = {name.lower(): value for name, value in api.headers[0].items()}
    assert (
        "AWS4-HMAC-SHA256 Credential=canary-id" in headers["authorization"] and "eu-west-1" in headers["authorization"]
    )
    assert "model" not in api.requests[0], "it is in the path"


async def test_a_provider_from_another_package(
    monkeypatch: pytest.MonkeyPatch, toolbox: Toolbox, tmp_path: Path
) -> None:
    (tmp_path / "somebody.py").write_text(
        "from autocomp_mcp.agent.models.providers import make_models\n"
        "def make(name, toolbox, **options):\n"
        "    models = make_models('offline', toolbox)\n"
        "    models.spec = f'theirs:{name}'\n"
        "    return models\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = EntryPoints([EntryPoint("theirs", "somebody:make", providers.PLUGINS)])
    monkeypatch.setattr(providers, "entry_points", lambda group: found.select(group=group))
    assert make_models("theirs:x", toolbox).spec == "theirs:x"
    with pytest.raises(AgentUsageError, match=r"provider:name with offline, .*, theirs"):
        make_models("nobody:x", toolbox)
