"""Every tool and resource with arguments from its schema and hostile ones: a fitting result, or an error with words."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.server.serving.toolsets import TOOLS, Selection
from autocomp_mcp.tools.bench import Bench
from faults import intact, until
from mcp import Client, MCPError
from schema_fuzz import HOSTILE_STRINGS, MARK, arguments, hostile
from server_process import INITIALIZE, clean_environment

pytestmark = pytest.mark.trust
SAMPLED, FULL = 800, 100_000
WITHIN_S = 150.0  # a hang; the longest that any call takes by itself is 45 s, and this machine may be busy
GROWTH_BYTES = 400 << 20
ADDRESSES = (
    "reference://{}", "reference://gemmini/{}", "menu://{}", "problem://{}", "problem://gemmini/{}", "run://{}",
    "kernel://{}", "kernel://{}/best", "timeline://{}", "timeline://{}?problem=x", "{}",
)  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def everything_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def sent(value: Any) -> Any:
    """As a client can send it: lone surrogates have no UTF-8 (what arrives with them is in the test of lines)."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


@pytest.mark.anyio
async def test_tools(
    tmp_path: Path, make_home: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch, score, how_many
) -> None:
    home, scratch, here = make_home(tmp_path / "home"), tmp_path / "scratch", tmp_path / "here"
    scratch.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    count = how_many(SAMPLED, FULL)
    wrong: list[str] = []
    answered: Counter[str] = Counter()
    server = build_server(Bench(Home(home)), Selection.of("problems,menu,kernels,search,hardware", (), False))
    async with Client(server, mode="legacy") as client:  # which puts no arguments into headers
        schemas = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
        assert set(schemas) == set(TOOLS)
        names = sorted(schemas)
        before = 0
        for number in range(count):
            name = names[number % len(names)]
            given = sent(arguments(schemas[name], number))
            what = f"{number} {name}"
            try:
                with anyio.fail_after(WITHIN_S):
                    result = await client.call_tool(name, given)
            except TimeoutError:
                wrong.append(f"{what}: no answer")
                break
            except MCPError as error:  # refused by the protocol: invalid params
                answered["refused"] += 1
                if error.code == -32603:
                    wrong.append(f"{what}: {error}")
                continue
            text = "".join(getattr(part, "text", "") for part in result.content)
            answered["errors" if result.is_error else "results"] += 1
            if result.is_error and (not text.strip() or text.strip() == f"Error executing tool {name}"):
                wrong.append(f"{what}: an error without words, so an unexpected one: {text[:100]!r}")
            if len(text.encode(errors="replace")) > 45_000:
                wrong.append(f"{what}: {len(text)} characters")
            if name == "start_search" and not result.is_error:
                await client.call_tool("cancel_search", {"run": (result.structured_content or {})["run_id"]})
            if number == count // 4:
                before = resident_bytes()
        grown = resident_bytes() - before
    written = [path for folder in (here, scratch) for path in everything_in(folder)]
    held = count - len(wrong)
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(answered.items()))
    score("fuzz: calls of tools", held, count, kinds)
    assert not wrong, wrong[:20]
    assert answered["results"] and answered["errors"]
    assert grown < GROWTH_BYTES, f"{grown >> 20} MiB more than after a quarter of the calls"
    strange = [path for path in everything_in(tmp_path) if MARK in path.name]
    assert not written and not strange, written
    if (home / "autocomp.db").exists():
        assert intact(home / "autocomp.db")


@pytest.mark.anyio
async def test_addresses_of_resources(tmp_path: Path, make_home: Callable[[Path], Path], score, how_many) -> None:
    chance, wrong = Random(8), []
    count = how_many(300, 20_000)
    async with Client(build_server(Bench(Home(make_home(tmp_path / "home")))), mode="legacy") as client:
        for _ in range(count):
            address = chance.choice(ADDRESSES).replace("{}", chance.choice(HOSTILE_STRINGS))
            if chance.random() < 0.3:
                address += "?offset=" + chance.choice(HOSTILE_STRINGS)
            address = "".join(chance.sample(address, len(address))) if chance.random() < 0.05 else address
            try:
                with anyio.fail_after(WITHIN_S):
                    result = await client.read_resource(address)
            except MCPError as error:
                if error.code == -32603:
                    wrong.append(f"{address[:200]!r}: {error}")
            except TimeoutError:
                wrong.append(f"{address[:200]!r}: no answer")
            else:
                assert sum(len(part.text) for part in result.contents if hasattr(part, "text")) < 9000
    score("fuzz: addresses of resources", count - len(wrong), count)
    assert not wrong, wrong[:10]


def test_lines_over_stdio(tmp_path: Path, score, how_many) -> None:
    """Lines that no client would send: the server answers what can be answered, and goes on."""
    chance = Random(9)
    count = how_many(200, 20_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "autocomp_mcp", "serve"], env=clean_environment(tmp_path / "home"), cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin and process.stdout
    ids: list[Any] = []
    reader = threading.Thread(target=lambda: ids.extend(json.loads(line).get("id") for line in process.stdout or ()))
    reader.start()
    process.stdin.write(line(INITIALIZE) + line({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    for number in range(count):
        params = {
            "name": chance.choice(["get_problem", "list_problems", "x"]),
            "arguments": {"problem": hostile(chance)},
        }
        whole = line({"jsonrpc": "2.0", "id": number + 10, "method": "tools/call", "params": params})
        place = chance.randrange(len(whole))
        kind = chance.randrange(4)
        if kind == 0:
            whole = whole[:place].replace(b"\n", b" ") + b"\n"
        elif kind == 1:
            whole = whole[:place] + bytes(chance.randrange(256) for _ in range(4)).replace(b"\n", b" ") + whole[place:]
        elif kind == 2:
            whole = line(hostile(chance))
        process.stdin.write(whole)
        process.stdin.flush()
    process.stdin.write(line({"jsonrpc": "2.0", "id": "last", "method": "tools/list"}))
    process.stdin.flush()
    held = until(lambda: "last" in ids, WITHIN_S)
    score("fuzz: lines over stdio", count * held, count)
    process.stdin.close()
    ended = until(lambda: process.poll() is not None, 30)
    process.kill()
    process.wait()
    reader.join()
    process.stdout.close()
    assert held and ended, ids[-20:]


def line(message: Any) -> bytes:
    return (json.dumps(message) + "\n").encode()
