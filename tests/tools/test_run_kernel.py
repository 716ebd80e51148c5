"""run_kernel and profile_kernel on hardware that stand-ins of AWS's software play, by real calls over stdio."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from neuron_machine import machine

pytestmark = pytest.mark.usefixtures("stand_ins_shown")
PROBLEM = "trainium/gemm-64x96x128"
KERNEL = """\
import nki
import nki.isa as nisa


@nki.jit
def solution(a_t, b):
    nisa.nc_matmul(stationary=a_t, moving=b)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def server(tmp_path: Path, home: Path, **what: Any) -> StdioServerParameters:
    environment = machine(tmp_path / "machine", **what) | {"AUTOCOMP_HOME": str(home)}
    environment["AUTOCOMP_SANDBOX_SHOW"] = os.environ["AUTOCOMP_SANDBOX_SHOW"]
    args = ["-m", "autocomp_mcp", "serve", "--toolsets", "problems,kernels,hardware"]
    return StdioServerParameters(command=sys.executable, args=args, env=environment)


@pytest.mark.anyio
async def test_a_kernel_is_run_and_profiled(tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    arguments = {"problem": PROBLEM, "source": KERNEL}
    async with Client(server(tmp_path, make_home(tmp_path / "home"))) as client:
        ran = (await client.call_tool("run_kernel", arguments)).structured_content
        assert ran["verdict"] == "passed" and ran["source"] == "measured" and ran["engine"] == "neuron"
        assert ran["latency"]["value"] == 40850 and ran["latency"]["unit"] == "ns" and ran["latency"]["spread"] > 0
        profiled = (await client.call_tool("profile_kernel", {**arguments, "engine": "neuron"})).structured_content
        assert profiled["profile"]["source"] == "measured" and profiled["options"]["sbuf_space"]
        for tool, engine, said in (
            ("simulate_kernel", "neuron", "run_kernel runs kernels there"),
            ("run_kernel", "nkisim", "is a simulator"),
            ("run_kernel", "nosuch", "unknown engine"),
        ):
            refused = await client.call_tool(tool, {**arguments, "engine": engine})
            assert refused.is_error and said in refused.content[0].text
        other = await client.call_tool("run_kernel", {**arguments, "problem": "gemmini/gemm-32x32x32"})
        assert other.is_error and "no engine that is hardware" in other.content[0].text


@pytest.mark.anyio
async def test_without_a_device_the_machine_is_at_fault(tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    async with Client(server(tmp_path, make_home(tmp_path / "home"), device=False)) as client:
        refused = await client.call_tool("run_kernel", {"problem": PROBLEM, "source": KERNEL})
        assert refused.is_error and "environment:" in refused.content[0].text
        assert "Neuron driver" in refused.content[0].text
        targets = (await client.call_tool("list_targets", {})).structured_content["targets"]
        engines = {e["name"]: e for target in targets for e in target["engines"]}
        assert not engines["neuron"]["available"] and "Neuron driver" in engines["neuron"]["reason"]
        assert engines["nki-simulate"]["available"]
