"""run_kernel with `against`, over real calls: on a machine with a GPU made of threads, and where it cannot be."""

import os
import sys
from pathlib import Path

import nvidia_machine
import pytest
from autocomp_mcp.hardware_adapters.nvidia.families import operator_of
from mcp import Client, StdioServerParameters
from neuron_machine import machine

pytestmark = pytest.mark.usefixtures("stand_ins_shown")
PROBLEM = "nvidia/sgemm-64x48x40"
SERVER = """
import sys
from autocomp_mcp.hardware_adapters.nvidia.cuda import library, native
native.TRIALS = 6
native.FLUSH_BYTES = native.SCRATCH_BYTES = 1 << 12  # this device walks through memory word by word
RUNTIME = ("_Z", "blockIdx", "blockDim", "threadIdx", "gridDim")  # what these kernels want in place of CUDA's
class Everything(frozenset):
    def __contains__(self, name):
        return super().__contains__(name) or str(name).startswith(RUNTIME)
library.PLAIN = Everything(library.PLAIN)
from autocomp_mcp.__main__ import main
sys.argv = ["autocomp-mcp", "serve", "--toolsets", "problems,kernels,hardware"]
main()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def gpu_server(folder: Path) -> StdioServerParameters:
    path = f"{nvidia_machine.install(folder / 'gpu')}{os.pathsep}{os.environ['PATH']}"
    environment = dict(os.environ) | {"PATH": path, "AUTOCOMP_HOME": str(folder / "home")}
    return StdioServerParameters(command=sys.executable, args=["-c", SERVER], env=environment)


@pytest.mark.slow
@pytest.mark.anyio
async def test_two_kernels_are_timed_in_turns(tmp_path: Path) -> None:
    baseline = operator_of(PROBLEM).baseline()
    slower = baseline.replace(
        "for (int64_t k = 0;", "for (volatile int again = 0; again < 400; again = again + 1);\n    for (int64_t k = 0;"
    )
    assert slower != baseline
    asked = {"problem": PROBLEM, "source": baseline, "engine": "cuda", "timeout_s": 200}
    async with Client(gpu_server(tmp_path)) as client:
        ran = (await client.call_tool("run_kernel", {**asked, "against": slower})).structured_content
        assert ran["verdict"] == "passed", ran["message"]
        beside = ran["beside"]
        assert beside["low"] <= beside["speed"] <= beside["high"] and ran["kernel"] != beside["kernel"]
        again = (await client.call_tool("run_kernel", {**asked, "against": beside["kernel"]})).structured_content
        assert again["beside"]["kernel"] == beside["kernel"] and not again["cached"], "a digest names the kernel too"
        wrong = baseline.replace("sum += A", "sum -= A")
        refused = await client.call_tool("run_kernel", {**asked, "against": wrong})
        assert refused.is_error and "does not pass itself: wrong_result" in refused.content[0].text
        refused = await client.call_tool("run_kernel", {**asked, "engine": "cuda-sanitizer", "against": slower})
        assert refused.is_error and "those that can: cuda" in refused.content[0].text
        listed = (await client.call_tool("list_targets", {})).structured_content["targets"]
        able = [engine["name"] for target in listed for engine in target["engines"] if engine.get("in_turns")]
        assert able == ["cuda"]


@pytest.mark.anyio
async def test_an_engine_that_times_one_kernel_only_refuses(tmp_path: Path) -> None:
    environment = machine(tmp_path / "machine") | {"AUTOCOMP_HOME": str(tmp_path / "home")}
    args = ["-m", "autocomp_mcp", "serve", "--toolsets", "problems,kernels,hardware"]
    async with Client(StdioServerParameters(command=sys.executable, args=args, env=environment)) as client:
        asked = {"problem": "trainium/gemm-64x96x128", "source": "import nki\n", "against": "import nki\n"}
        refused = await client.call_tool("run_kernel", asked)
        assert refused.is_error and "cannot time two kernels in turns" in refused.content[0].text
