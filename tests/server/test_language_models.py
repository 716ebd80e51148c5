"""Language models from the command line: optimize, --record, replay:, --batch, several models, other services."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_api import ChatApi, completion
from kernel_author import KernelAuthor
from mcp import Client, StdioServerParameters
from messages_api import MessagesApi

PROBLEM = "gemmini/gemm-64x64x64"
MODEL = "anthropic:claude-sonnet-5-5"
KEY = "sk-canary-0123456789"
SMALL = ("--iterations", "2", "--plans", "2", "--beam", "1", "--set", "dropout=0", "--json")
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> Path:
    return make_home(tmp_path_factory.mktemp("models") / "home")


@pytest.fixture
def cli(home: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "OPENAI_", "AUTOCOMP_"))}

    def call(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *args], capture_output=True, text=True, cwd=tmp_path,
            stdin=subprocess.DEVNULL, env=clean | {"AUTOCOMP_HOME": str(home)} | more,
        )  # fmt: skip

    return call


Cli = Callable[..., subprocess.CompletedProcess[str]]


def final(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    assert KEY not in result.stdout + result.stderr
    return json.loads(result.stdout)


def best(status: dict[str, Any]) -> tuple[str, float]:
    return status["best"]["candidate"], status["best"]["latency"]


@pytest.mark.slow
def test_a_recorded_run_is_reproduced_without_its_model(cli: Cli, tmp_path: Path) -> None:
    with MessagesApi(KernelAuthor(PROBLEM)) as api:
        given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        search = ("optimize", PROBLEM, "--model", MODEL, "--reuse", "none", *SMALL)
        first = final(cli(*search, "--record", "talk.jsonl", **given))
        asked = len(api.requests)
        assert first["model_calls"] == asked >= 6 and first["cost_usd"] > 0 and first["speedup"] > 1
        assert all(name.lower() != "x-api-key" or value == KEY for h in api.headers for name, value in h.items())
        again = cli(*search, "--record", "talk.jsonl", **given)
        assert again.returncode == 2 and "talk.jsonl" in json.loads(again.stdout)["error"]["message"]
        assert len(api.requests) == asked, "refused before a call was paid for"
    assert KEY not in (tmp_path / "talk.jsonl").read_text()
    replayed = final(cli("optimize", PROBLEM, "--model", "replay:talk.jsonl", "--reuse", "none", *SMALL))
    assert best(replayed) == best(first) and replayed["tokens"] == first["tokens"]
    assert replayed["cost_usd"] == 0 and replayed["model_calls"] == first["model_calls"]


@pytest.mark.slow
def test_batches_cost_half(cli: Cli) -> None:
    search = ("optimize", PROBLEM, "--model", MODEL, "--reuse", "none", *SMALL)
    with MessagesApi(KernelAuthor(PROBLEM)) as api:
        api.patience = 1
        given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        batched = final(cli(*search, "--batch", **given))
        assert api.batches and api.requests
        plain = final(cli(*search, **given))
    assert best(batched) == best(plain)
    assert batched["cost_usd"] == pytest.approx(plain["cost_usd"] / 2)


def test_a_planner_and_a_coder_at_different_services(cli: Cli) -> None:
    author = KernelAuthor(PROBLEM)
    with MessagesApi(author) as planner, ChatApi(lambda body: completion(str(author(_as_messages(body))))) as coder:
        given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": planner.url}
        given |= {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": coder.url}
        models = ("--plan-model", MODEL, "--code-model", "openai:some-coder")
        status = final(cli("optimize", PROBLEM, *models, "--reuse", "none", *SMALL, **given))
        assert status["speedup"] > 1 and len(planner.requests) == len(coder.requests) == 4
        assert status["cost_usd"] is None, "no price is known for the coder: no figure is made up"


def test_an_estimate_asks_no_model(cli: Cli) -> None:
    with MessagesApi(KernelAuthor(PROBLEM)) as api:
        given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        said = json.loads(cli("optimize", PROBLEM, "--model", MODEL, "--estimate", *SMALL, **given).stdout)
        assert said["cost_usd"] > 0 and api.requests == []


@pytest.mark.anyio
async def test_a_caller_cannot_have_the_servers_key_sent_to_an_address_of_his_own(home: Path) -> None:
    with MessagesApi(KernelAuthor(PROBLEM)) as api:
        environment = {"AUTOCOMP_HOME": str(home), "ANTHROPIC_API_KEY": KEY, "PATH": os.environ["PATH"]}
        command = StdioServerParameters(command=sys.executable, args=["-m", "autocomp_mcp", "serve"], env=environment)
        async with Client(command) as client:
            arguments = {"problem": PROBLEM, "model": MODEL, "settings": {"base_url": api.url}}
            result = await client.call_tool("start_search", arguments)
        assert result.is_error and "ANTHROPIC_BASE_URL" in result.content[0].text  # pyright: ignore
        assert api.requests == []


def _as_messages(body: dict[str, Any]) -> dict[str, Any]:
    """A chat request in the shape of the Messages API."""
    text = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
    parts = [{"text": text}] if isinstance(text, str) else text
    return {"messages": [{"content": parts}]}
