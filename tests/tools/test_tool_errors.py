"""What tools answer where the agent's part refuses or fails: whose fault it is, in words, never the SDK's silence."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from mcp import Client
from synthetic_run import SyntheticRun, evaluation

PROBLEM = "gemmini/gemm-32x32x32"
KERNEL = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { }\n'
OFFLINE = {"problem": PROBLEM, "model": "offline"}
OF_A_RUN = {"problem": PROBLEM, "a": "kernel://early/best", "b": KERNEL}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def refusal(home: Home, tool: str, arguments: dict[str, Any]) -> str:
    async with Client(build_server(Bench(home))) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text.removeprefix(f"Error executing tool {tool}: ")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"preset": "fast"}, "unknown preset 'fast'; there are: offline"),
        ({"preset": []}, "settings: preset is a name, not []"),
        ({"spec": "offline"}, "settings: spec: Extra inputs"),
        ({"reuse": "none-such"}, "no run 'none-such'"),
    ],
    ids=str,
)
async def test_settings_that_a_search_refuses(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    assert (await refusal(Home(tmp_path), "start_search", OFFLINE | {"settings": settings})).startswith(told)


@pytest.mark.anyio
async def test_a_kernel_of_a_run_that_never_began(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with closing(Journal(home.database)) as journal:
        journal.release(journal.create("early", PROBLEM, "offline", {}, KERNEL))
    told = await refusal(home, "compare_kernels", OF_A_RUN)
    assert told.startswith("run 'early' never began")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("start_search", OFFLINE),
        ("get_search", {"run": "early"}),
        ("cancel_search", {"run": "early"}),
        ("compare_kernels", OF_A_RUN),
    ],
    ids=["start", "get", "cancel", "compare"],
)
async def test_a_journal_that_cannot_be_used_is_the_machines_fault(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    (tmp_path / "autocomp.db").write_text("no database at all\n" * 100)
    told = await refusal(Home(tmp_path), tool, arguments)
    assert told.startswith("environment: the journal ") and "not a database" in told


@pytest.mark.anyio
async def test_a_cancellation_that_cannot_be_written_down(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with closing(Journal(home.database)) as journal:
        lease = journal.create("lively", PROBLEM, "offline", SearchSettings().model_dump(), KERNEL)
        journal.set_state(lease, "running")
        with closing(sqlite3.connect(home.database)) as database:
            database.execute("CREATE TABLE jobs (other TEXT)")
        told = await refusal(home, "cancel_search", {"run": "lively"})
    assert told.startswith("environment: the journal ") and "no such column" in told


@pytest.mark.anyio
async def test_an_address_of_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMP_DB", "mysql://db.example.org/runs")
    assert "PostgreSQL" in await refusal(Home(tmp_path), "start_search", OFFLINE)


@pytest.mark.anyio
async def test_an_offset_past_the_end_of_the_best_kernel(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, "early", KERNEL)
    run.candidate("0", None, KERNEL, evaluation(1000.0))
    run.end()
    told = await refusal(Home(tmp_path), "get_search", {"run": "early", "offset": len(KERNEL) + 1})
    assert told.startswith(f"offset {len(KERNEL) + 1} is past the end: the best kernel now has {len(KERNEL)} char")
