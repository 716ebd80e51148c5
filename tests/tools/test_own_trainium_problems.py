"""Operators of one's own for Trainium: NumPy or Python, with a first kernel in NKI or without, over MCP and on the
command line."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from mcp import Client

KERNEL = """import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gate):
    R, C = x.shape
    out = nl.ndarray((R, C), dtype=nl.bfloat16, buffer=nl.shared_hbm)
    for r in range(0, R, 128):
        rows = min(128, R - r)
        data = nl.ndarray((rows, C), dtype=nl.bfloat16, buffer=nl.sbuf)
        nisa.dma_copy(dst=data, src=x[r:r + rows, 0:C])
        column = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
        nisa.dma_copy(dst=column, src=gate[r:r + rows, 0:1])
        result = nl.ndarray((rows, C), dtype=nl.bfloat16, buffer=nl.sbuf)
        nisa.tensor_scalar(dst=result, data=data, op0=nl.multiply, operand0=column)
        nisa.dma_copy(dst=out[r:r + rows, 0:C], src=result)
    return out
"""
OWN: dict[str, Any] = {
    "name": "gated",
    "target": "trainium",
    "dims": {"R": 130, "C": 96},
    "inputs": ["x: bfloat16[R, C]", "gate: float32[R, 1]"],
    "outputs": ["out: bfloat16[R, C]"],
    "reference": "out = x * gate",
    "kernel": KERNEL,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def connected(home: Home) -> AsyncIterator[Client]:
    async with Client(build_server(Bench(home, roots=()))) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def refused(client: Client, **own: Any) -> str:
    result = await client.call_tool("get_problem", {"own": {**OWN, **own}})
    assert result.is_error
    return result.content[0].text


@pytest.mark.anyio
async def test_an_operator_given_inline_is_known_to_every_tool(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with connected(home) as client:
        taken = await call(client, "get_problem", own=OWN)
        problem = taken["problem"]["id"]
        assert problem.startswith("trainium/custom-gated-") and len(taken["proof"]) == 7
        assert all(finding["passed"] for finding in taken["proof"])
        assert taken["problem"]["work"]["macs"] is None and taken["problem"]["tolerance"].startswith(
            "every element within 0.01"
        )
    async with connected(home) as client:  # after a restart
        assert (await call(client, "get_problem", problem=problem))["baseline"] == KERNEL
        listed = (await call(client, "list_problems", target="trainium"))["problems"]
        assert listed[0]["id"] == problem
        wrong = [
            KERNEL.replace("nl.multiply", "nl.add"),
            KERNEL.replace("range(0, R, 128)", "range(0, R - 127, 128)"),
            KERNEL.replace("operand0=column", "operand0=1.0"),
        ]
        ranking = (await call(client, "simulate_kernel", problem=problem, sources=[KERNEL, *wrong]))["ranking"]
        assert [entry["verdict"] for entry in ranking] == ["passed", *["wrong_result"] * 3]
        profile = await call(client, "profile_kernel", problem=problem, source=KERNEL)
        assert profile["profile"]["bottlenecks"]


@pytest.mark.anyio
async def test_without_a_kernel_the_problem_still_judges(tmp_path: Path) -> None:
    async with connected(Home(tmp_path)) as client:
        taken = await call(client, "get_problem", own={**OWN, "kernel": None})
        problem = taken["problem"]["id"]
        assert (
            taken["proof"][-1]["passed"] is None and "a search needs a correct kernel" in taken["proof"][-1]["message"]
        )
        assert (await call(client, "get_problem", problem=problem))["baseline"] is None
        texts = await client.read_resource(f"problem://{problem}")
        assert "No kernel came with this problem" in str(texts)
        judged = await call(client, "simulate_kernel", problem=problem, source=KERNEL)
        assert judged["verdict"] == "passed"
        started = await client.call_tool("start_search", {"problem": problem})
        assert "pass a source to start from" in str(started.content) or started.is_error


@pytest.mark.anyio
async def test_what_does_not_prove_itself_is_refused(tmp_path: Path) -> None:
    async with connected(Home(tmp_path)) as client:
        assert "kernel" in await refused(client, kernel=KERNEL.replace("nl.multiply", "nl.add"))
        assert "gate" in await refused(client, reference="out = x * 1.0")
        assert "zeros" in await refused(client, reference="out = x * gate * 0")
        assert "at most 268435456" in await refused(client, dims={"R": 1 << 20, "C": 96})
        assert "bfloat16" in await refused(client, target="gemmini", kernel="void solution(void) {}")
        assert "float64" in await refused(client, outputs=["out: float64[R, C]"])


@pytest.fixture
def run(tmp_path: Path, make_home: Callable[[Path], Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AUTOCOMP_HOME": str(make_home(tmp_path / "home")),
    }

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autocomp_mcp", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return command


@pytest.mark.slow
def test_a_folder_from_the_command_line(run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    assert run("problem", "new", "mine", "--target", "trainium", "--python").returncode == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["kernel.py", "problem.toml", "reference.py"]
    checked = json.loads(run("problem", "check", "mine", "--json").stdout)
    assert checked["passed"] and checked["first"]["verdict"] == "passed" and checked["first"]["utilisation"] > 0
    evaluated = json.loads(run("evaluate", "./mine", "mine/kernel.py", "--engine", "nkisim-trn1", "--json").stdout)
    assert evaluated["verdict"] == "passed" and evaluated["problem"] == checked["problem"]
    (tmp_path / "mine" / "kernel.py").rename(tmp_path / "first.py")
    without = run("problem", "check", "mine")
    assert without.returncode == 0 and "--source FILE" in without.stdout
    assert json.loads(run("evaluate", "./mine", "first.py", "--json").stdout)["verdict"] == "passed"
    assert "came without a kernel" in run("problems", "--baseline", "./mine").stderr
    needs = run("optimize", "./mine", "--model", "offline")
    assert needs.returncode == 2 and "pass a source to start from" in needs.stderr
    searched = run("optimize", "./mine", "--model", "offline", "--source", "first.py", "--json")
    assert json.loads(searched.stdout)["baseline"]["latency"] == checked["first"]["latency"]["value"]
    (tmp_path / "mine" / "reference.py").write_text("def reference(A, B, R):\n    return A.T @ B + R\n")
    (tmp_path / "first.py").rename(tmp_path / "mine" / "kernel.py")
    assert run("problem", "check", "mine").returncode == 1
    assert run("problem", "new", "other", "--target", "tpu").returncode == 2
