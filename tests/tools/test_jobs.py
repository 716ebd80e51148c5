"""Searches in the background of a server, whose table of jobs fails."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.tools import jobs as jobs_module
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.jobs import Jobs
from landscape import PROBLEM, Landscape


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_table_that_cannot_be_used_ends_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs_module, "STOP_POLL_S", 0.01)
    home, landscape = Home(tmp_path), Landscape(delay_s=0.05)
    async with Jobs.running(Bench(home)) as jobs:
        settings = SearchSettings.for_model("offline", iterations=1000)
        first, second = [await jobs.start(landscape.server, PROBLEM, "offline", settings, None) for _ in range(2)]
        with closing(sqlite3.connect(home.database)) as database:
            database.execute("DROP TABLE jobs")
        with anyio.fail_after(30):
            while "cannot stop" not in caplog.text:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            assert await jobs.cancel(first)
            while jobs.drives(first) or "stays among the jobs" not in caplog.text:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert jobs.journal().status(first).state == "cancelled"
        assert jobs.journal().status(second).state == "running"
    assert "no such table" in caplog.text
