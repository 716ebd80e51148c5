"""Conversations recorded and replayed: the same search without the service."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.agent.controller import resume, search
from autocomp_mcp.agent.errors import AgentUsageError
from autocomp_mcp.agent.models.providers import make_models
from autocomp_mcp.agent.models.recording import Recording, recorded
from autocomp_mcp.agent.runs import patience
from autocomp_mcp.agent.runs.candidate import Candidate, canonical
from autocomp_mcp.agent.runs.journal import Journal
from autocomp_mcp.agent.runs.status import RunStatus
from autocomp_mcp.agent.settings import SearchSettings
from autocomp_mcp.agent.toolbox import Toolbox
from landscape import PROBLEM, Landscape, kernel
from language_bench import CALL_USD, SMALL, bench, clever
from messages_api import MessagesApi, status

pytestmark = pytest.mark.anyio
WIDE = SMALL | {"iterations": 3, "plans": 3, "beam": 2, "max_parallel_model": 8}


async def record(home: Path, file: Path, model: str = "anthropic:claude-sonnet-5-5", **settings: Any) -> RunStatus:
    with MessagesApi(clever) as api:
        async with bench(api, home, model) as shared:
            with recorded(shared["models"], file):
                return await search(PROBLEM, SearchSettings.for_model("x", **(WIDE | settings)), run_id="r", **shared)


async def replay(home: Path, file: Path, source: str | None = None, **settings: Any) -> RunStatus:
    async with Toolbox.connect(Landscape().server) as toolbox:
        models = make_models(f"replay:{file}", toolbox)
        try:
            return await search(
                PROBLEM, SearchSettings.for_model("x", **(WIDE | settings)), toolbox=toolbox, models=models,
                journal=Journal(home / "db"), runs_dir=home, run_id="r", source=source,
            )  # fmt: skip
        finally:
            await models.aclose()


def candidates(home: Path) -> list[Any]:
    events = Journal(home / "db").events("r", sources=True)
    made = [Candidate.model_validate({**e["data"], "source": e["source"]}) for e in events if e["kind"] == "candidate"]
    return [(c.id, c.source, c.duplicate_of) for c in canonical(made)]


@pytest.mark.parametrize(
    "model", ["anthropic:claude-sonnet-5-5", "anthropic:claude-opus-5-5 > anthropic:claude-haiku-4-5"]
)
async def test_a_replayed_search_is_the_recorded_one(
    tmp_path: Path, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "talk.jsonl"
    first = await record(tmp_path / "a", file, model)
    again = await replay(tmp_path / "b", file)
    assert (again.best, again.lineage, again.evaluations) == (first.best, first.lineage, first.evaluations)
    assert candidates(tmp_path / "a") == candidates(tmp_path / "b")
    assert again.model == f"replay:{file}"
    assert again.tokens == first.tokens and first.cost_usd and again.cost_usd == 0, "it was paid for once"
    assert not caplog.records


async def test_a_text_is_kept_once_and_no_key_is(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    result = await record(tmp_path, file)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0] == {"kind": "recording", "version": 1, "model": "anthropic:claude-sonnet-5-5"}
    exchanges = [line for line in lines if line["kind"] == "exchange"]
    assert len(exchanges) == result.model_calls and len({line["key"] for line in exchanges}) == len(exchanges)
    assert len({line["prompt"][0] for line in exchanges}) == 1, "one system prefix"
    assert sum(line["cost_usd"] for line in exchanges) == pytest.approx(CALL_USD * len(exchanges))
    texts = [line["text"] for line in lines if line["kind"] == "text"]
    assert len(texts) == len(set(texts)) and sum("How to program the toy: guide." in text for text in texts) == 1
    assert "api_key" not in file.read_text()


async def test_a_changed_prompt_is_answered_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "talk.jsonl"
    await record(tmp_path / "a", file)
    with caplog.at_level(logging.WARNING):
        result = await replay(tmp_path / "b", file, source="// another beginning\n" + kernel())
    assert result.state == "finished" and result.speedup
    said = [record.message.partition(": ")[2] for record in caplog.records]
    assert said[0] == "the prompt of plan/1.0.0/0 differs from the recorded one"
    assert len(said) == 2 and re.fullmatch(rf"[1-9]\d* of {len(Recording(file).exchanges)} prompts differed", said[1])


async def test_what_was_not_recorded_is_named(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    await record(tmp_path / "a", file)
    result = await replay(tmp_path / "b", file, iterations=4)
    assert result.state == "failed" and f"{str(file)!r} has no answer to plan/4.0." in str(result.stop_reason)


async def test_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """Even where the process was killed in the middle of a line."""
    file = tmp_path / "talk.jsonl"
    whole = await record(tmp_path / "whole", tmp_path / "whole.jsonl", max_parallel_model=1)
    settings = SearchSettings.for_model("x", **(WIDE | {"max_parallel_model": 1}))
    with MessagesApi(*[clever] * 7, status(401)) as api:
        async with bench(api, tmp_path / "a") as shared:
            with recorded(shared["models"], file):
                broken = await search(PROBLEM, settings, run_id="r", **shared)
    assert broken.state == "failed" and broken.model_calls == 7
    with file.open("a") as handle:
        handle.write('{"kind": "text", "digest": "ab')
    with MessagesApi(clever) as api:
        async with bench(api, tmp_path / "a") as shared:
            with recorded(shared["models"], file, resumed=True):
                result = await resume("r", **shared)
    assert result.best == whole.best
    assert Recording(file).exchanges.keys() == Recording(tmp_path / "whole.jsonl").exchanges.keys()
    again = await replay(tmp_path / "b", file)
    assert (again.best, again.lineage) == (whole.best, whole.lineage)


async def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room comes back: nothing that was paid for is lost, and the file is a recording."""
    monkeypatch.setattr(patience, "DELAYS_S", (0.01,))
    write, short = os.write, iter([7, 7, 0])

    def writing(file: int, data: bytes) -> int:
        return write(file, data[:-50] if next(short, 0) and data.startswith(b'{"kind":"exchange"') else data)

    monkeypatch.setattr(os, "write", writing)
    made = await record(tmp_path / "a", tmp_path / "talk.jsonl")
    assert made.state == "finished" and len(Recording(tmp_path / "talk.jsonl").exchanges) == made.model_calls


async def test_what_cannot_be_recorded_or_replayed(tmp_path: Path) -> None:
    file = tmp_path / "there.jsonl"
    file.write_text("something else\n")
    with MessagesApi(clever) as api:
        async with bench(api, tmp_path) as shared:
            with pytest.raises(AgentUsageError, match="exists already"), recorded(shared["models"], file):
                pass
            offline = make_models("offline", shared["toolbox"])
            with pytest.raises(AgentUsageError, match="no conversation"), recorded(offline, tmp_path / "new"):
                pass
            for spec, why in (
                (f"replay:{file}", r"there.jsonl:1: not a line of a recording"),
                (f"replay:{tmp_path / 'none'}", "cannot read the recording"),
                ("replay:", "which recording"),
            ):
                with pytest.raises(AgentUsageError, match=why):
                    make_models(spec, shared["toolbox"])
    assert file.read_text() == "something else\n" and not (tmp_path / "new").exists()
