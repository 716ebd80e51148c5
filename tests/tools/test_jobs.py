"""Searches in the background of a server: a table of jobs that fails, and callers that wait."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools import jobs as jobs_module
from autocomp_mcp.tools.bench import Bench
from autocomp_mcp.tools.jobs import Jobs
from landscape import PROBLEM, Landscape
from mcp import Client
from synthetic_run import SyntheticRun, evaluation


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


@pytest.mark.anyio
async def test_a_search_is_read_again_when_it_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status takes reading the whole run: whoever waits for a quiet one costs next to nothing."""
    run, reads, status = SyntheticRun(tmp_path, "quiet", "a;"), [], Journal.status
    run.candidate("0", None, "a;", evaluation(3_000_000))
    monkeypatch.setattr(Journal, "status", lambda *given, **more: reads.append(1) or status(*given, **more))
    async with Client(build_server(Bench(Home(tmp_path)))) as client:
        waited = await client.call_tool("get_search", {"run": "quiet", "wait_s": 2})
        assert waited.structured_content is not None and waited.structured_content["state"] == "running"
        assert len(reads) == 2, "at the beginning and at the end"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, run.end)
            ended = await client.call_tool("get_search", {"run": "quiet", "wait_s": 30})
        assert ended.structured_content is not None and ended.structured_content["state"] == "finished"
