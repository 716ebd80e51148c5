"""A search on the toy target by a model behind the fake Messages API: what the tests of models have in common."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from autocomp_mcp.agent.controller import search
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import NAMES, PROBLEM, Landscape, kernel, values_of
from messages_api import MessagesApi, asked, is_plan, plan_json

MODEL = "anthropic:claude-sonnet-5-5"
# 100 in, 200 out, 1000 cache writes, 5000 cache reads at 2, 10, 2.5 and 0.1 USD per million
CALL_USD = (100 * 2 + 200 * 10 + 1000 * 2.5 + 5000 * 0.1) / 1e6
SMALL = {"iterations": 1, "plans": 1, "codes": 1, "beam": 1, "repairs": 0, "dropout": 0, "max_parallel_model": 1}


def fenced(source: str) -> str:
    return f"Here it is.\n```c\n{source}```\n"


def clever(body: dict[str, Any]) -> str:
    """Plans the option of its slot; writes the parent's kernel with that number raised by one."""
    text = asked(body)
    if is_plan(body):
        slot = int(re.search(r"plan (\d+) of", text)[1])  # type: ignore[index]
        return plan_json(f"more-{NAMES[(slot - 1) % len(NAMES)]}")
    values = values_of(text)
    name = re.search(r"<plan>\nmore-(\w+):", text)[1]  # type: ignore[index]
    assert values is not None
    return fenced(kernel(**{**values, name: values[name] + 1}))


@asynccontextmanager
async def bench(api: MessagesApi, home: Path, model: str = MODEL, **options: Any) -> AsyncIterator[dict[str, Any]]:
    async with Toolbox.connect(Landscape().server) as toolbox:
        given = {"base_url": api.url, "api_key": "test", "backoff_s": (0.0, 0.0), "sdk_retries": 1} | options
        models = make_models(model, toolbox, **given)
        try:
            yield {"toolbox": toolbox, "models": models, "journal": Journal(home / "db"), "runs_dir": home}
        finally:
            await models.aclose()


async def run(api: MessagesApi, home: Path, **settings: Any) -> RunStatus:
    async with bench(api, home) as shared:
        return await search(
            PROBLEM, SearchSettings.for_model("anthropic:x", **(SMALL | settings)), run_id="r", **shared
        )
