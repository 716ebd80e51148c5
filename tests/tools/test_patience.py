"""How long the tools let an engine work on a kernel where the caller does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import PATIENCE_S, TrainiumAdapter
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.judging import HOST_PATIENCE_S
from mcp import Client

PROBLEM = "trainium/rmsnorm-128x512"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Timed(TrainiumAdapter):
    """Notes the time that it is given, and fails."""

    given_s: float

    async def evaluate(self, *args: Any, timeout_s: float = 60.0, **more: Any) -> Any:
        self.given_s = timeout_s
        raise EngineFailure("noted")

    profile = evaluate


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("engine", "expected_s"),
    [(None, HOST_PATIENCE_S), ("nkisim", HOST_PATIENCE_S), ("nkisim-trn1", PATIENCE_S)],
)
async def test_a_profile_may_take_as_long_as_a_simulation(
    tmp_path: Path, engine: str | None, expected_s: float
) -> None:
    adapter = Timed(Home(tmp_path))
    source = adapter.baseline(adapter.problem(PROBLEM))
    async with Client(build_server(Bench(adapter.home, {"trainium": adapter}))) as client:
        for tool in ("simulate_kernel", "profile_kernel"):
            arguments = {"problem": PROBLEM, "source": source, "engine": engine}
            refused = await client.call_tool(tool, arguments)
            assert "noted" in refused.content[0].text and adapter.given_s == expected_s, tool
            del adapter.given_s
