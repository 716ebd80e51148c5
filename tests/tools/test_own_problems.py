"""An assistant brings its own operator: every tool, resource and search knows it by its id, also after a restart."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from autocomp_mcp.hardware_adapters.custom.scaffold import write
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.server.app import build_server
from autocomp_mcp.tools.bench import Bench
from mcp import Client
from mcp.types import ResourceTemplateReference

KERNEL = """#include <stdint.h>
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
    for (int i = 0; i < 512; i++) { int sum = A[i] + B[i]; C[i] = sum > 127 ? 127 : sum < -128 ? -128 : sum; }
}
"""
OWN: dict[str, Any] = {
    "name": "sum",
    "title": "saturating sum",
    "dims": {"M": 16, "N": 32},
    "inputs": ["A: int8[M, N]", "B: int8[M, N]"],
    "outputs": ["C: int8[M, N]"],
    "reference": "C = np.clip(A + B, -128, 127)",
    "kernel": KERNEL,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Path]) -> Home:
    return Home(make_home(tmp_path / "home"))


@asynccontextmanager
async def connected(home: Home, *roots: Path) -> AsyncIterator[Client]:
    async with Client(build_server(Bench(home, roots=roots))) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    data = result.structured_content
    assert data is not None and len(json.dumps(data).encode()) < 40 * 1024
    return data


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    text = result.content[0].text
    assert len(text) < 2500 and not text.removeprefix(f"Error executing tool {tool}: ").startswith("environment:")
    return text


@pytest.mark.anyio
async def test_an_operator_given_inline_is_known_to_every_tool(home: Home) -> None:
    async with connected(home) as client:
        taken = await call(client, "get_problem", own=OWN)
        problem = taken["problem"]["id"]
        assert problem.startswith("gemmini/custom-sum-") and taken["problem"]["bound"] is None
        assert all(finding["passed"] for finding in taken["proof"]) and len(taken["proof"]) == 7
        assert (await call(client, "get_problem", own=OWN))["proof"] == []  # once is enough
    async with connected(home) as client:  # another process, or the same after a restart
        assert (await call(client, "get_problem", problem=problem))["baseline"] == KERNEL
        assert (await call(client, "list_problems"))["problems"][0]["id"] == problem
        assert (await call(client, "compile_kernel", problem=problem, source=KERNEL))["ok"]
        variants = [KERNEL, KERNEL.replace("A[i] + B[i]", "A[i] - B[i]")]
        ranking = (await call(client, "simulate_kernel", problem=problem, sources=variants))["ranking"]
        assert [entry["verdict"] for entry in ranking] == ["passed", "wrong_result"]
        assert ranking[0]["utilisation"] is None and ranking[0]["latency"] > 0
        profile = (await call(client, "profile_kernel", problem=problem, source=KERNEL))["profile"]
        assert profile["utilisation"] is None and profile["roofline"] is None and profile["bottlenecks"]
        faster = KERNEL.replace("i < 512; i++", "i < 512; i += 1")
        await call(client, "compare_kernels", problem=problem, a=KERNEL, b=faster)
        options = await call(client, "list_optimizations", problem=problem, source=KERNEL)
        assert options["total"] > 10 and not any(option["rewrites"] for option in options["options"])
        text = (await client.read_resource(f"problem://{problem}")).contents[0].text
        assert "MACs not known" in text and "np.clip(A + B, -128, 127)" in text
        prompt = await client.get_prompt("optimize_kernel", {"problem": problem})
        assert "`utilisation` is null" in prompt.messages[0].content.text
        ref = ResourceTemplateReference(type="ref/resource", uri="problem://{+id}{?offset}")
        assert problem in (await client.complete(ref, {"name": "id", "value": "gemmini/custom"})).completion.values
        status = await call(client, "start_search", problem=problem, model="offline")
        while status["state"] == "running":
            status = await call(client, "get_search", run=status["run_id"], wait_s=20)
        assert status["state"] == "finished" and status["best"]["utilisation"] is None
        assert "a language model can" in status["stop_reason"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reference": "C = A + 0 * B"}, "problem 'sum' does not prove itself: copies: C is a copy of A"),
        ({"reference": "C = np.clip(A - B, -128, 127)"}, "kernel: .*wrong"),
        ({"reference": "C = __import__('os').getcwd()"}, "reference: line 1: .getcwd"),
        ({"reference_file": "../../etc/passwd.py", "reference": None}, "this server reads no problems from files"),
        ({"target": "abacus"}, "target: 'abacus' is unknown; there are: gemmini"),
        ({"inputs": ["A: int8[M]; system()"]}, "inputs: .* is not written"),
        ({"kernel": None}, "kernel: is missing"),
        ({"name": "x" * 100_000}, "name: "),
        ({"reference": "A+" * 100_000 + "A"}, "reference: 200001 characters"),
        ({"output": 1}, "output: no such field; did you mean 'outputs'"),
        ({"inputs": "A"}, "inputs: Input should be a valid list"),
        ({"dims": {"M": "many"}}, r"dims\['M'\]: Input should be a valid integer"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_what_is_wrong_with_it_is_said_plainly(home: Home, change: dict[str, Any], why: str) -> None:
    async with connected(home) as client:
        text = await refused(client, "get_problem", own={**OWN, **change})
        assert re.search(why, text, re.DOTALL), text
        assert "exactly one" in await refused(client, "get_problem")
        assert "exactly one" in await refused(client, "get_problem", problem="gemmini/gemm-64x64x64", own=OWN)
    assert not list(home.problems.iterdir())


@pytest.mark.anyio
async def test_folders_below_the_problem_root(home: Home, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write("inside", root / "inside", python=True)
    write("outside", outside, python=True)
    (root / "linked").symlink_to(outside)
    async with connected(home, root) as client:
        listed = (await call(client, "list_problems"))["problems"][0]["id"]
        assert listed.startswith("gemmini/custom-inside-")
        assert (await call(client, "get_problem", problem="./inside"))["problem"]["id"] == listed
        for path in ("../outside", str(outside), "./linked", "./nothing", "./inside/../../outside", "~", "/"):
            assert "below" in await refused(client, "get_problem", problem=path)
            assert "outside/problem.toml" not in await refused(client, "simulate_kernel", problem=path, source=KERNEL)
        own = {**OWN, "reference": None, "reference_file": "inside/reference.py"}
        assert "reference: TypeError" in await refused(client, "get_problem", own=own)  # it takes R, too
    async with connected(home) as client:
        assert "reads no problems from files" in await refused(client, "get_problem", problem="./inside")
        assert (await call(client, "get_problem", problem=listed))["baseline"]  # it was taken in


@pytest.mark.anyio
async def test_a_listed_problem_proves_itself_when_it_is_first_used(home: Home, tmp_path: Path) -> None:
    write("fresh", tmp_path / "root" / "fresh", python=False)
    kernel = (tmp_path / "root" / "fresh" / "kernel.c").read_text()
    async with connected(home, tmp_path / "root") as client:
        problem = (await call(client, "list_problems"))["problems"][0]["id"]
        assert (await call(client, "simulate_kernel", problem=problem, source=kernel))["verdict"] == "passed"
