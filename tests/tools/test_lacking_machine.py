"""What clients and scripts are told on a machine without any compiler, and what a cancelled call leaves behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.store import Home
from mcp import Client, StdioServerParameters

PROBLEM = "gemmini/gemm-32x32x32"
KERNEL = '#include "gemmini_api.h"\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) { %s }\n'
# The wheel with the compiler counts as not installed, and PATH leads nowhere.
WITHOUT_COMPILER = (
    "import sys; sys.modules['ziglang'] = None\n"
    "from autocomp_mcp.__main__ import main\n"
    "sys.argv[0] = 'autocomp-mcp'\n"
    "main()\n"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "AUTOCOMP_")) and k != "CC"}
    return env | {"PATH": str(tmp_path), "AUTOCOMP_HOME": str(tmp_path / "home")}


@pytest.mark.anyio
async def test_tools_say_that_the_machine_is_at_fault_and_not_the_kernel(bare: dict[str, str]) -> None:
    server = StdioServerParameters(command=sys.executable, args=["-c", WITHOUT_COMPILER, "serve"], env=bare)
    arguments = {"problem": PROBLEM, "source": KERNEL % ""}
    async with Client(server) as client:
        for tool in ("compile_kernel", "simulate_kernel", "profile_kernel"):
            result = await client.call_tool(tool, arguments)
            assert result.is_error, tool
            assert result.content[0].text.removeprefix(f"Error executing tool {tool}: ").startswith("environment:")
            assert "pip install ziglang" in result.content[0].text
        targets = (await client.call_tool("list_targets", {})).structured_content
        engine = targets["targets"][0]["engines"][0]
        assert not engine["available"] and "pip install ziglang" in engine["reason"]


@pytest.mark.parametrize("verb", ["evaluate", "profile", "compile"])
def test_commands_end_with_the_status_for_a_lacking_machine(bare: dict[str, str], tmp_path: Path, verb: str) -> None:
    (tmp_path / "kernel.c").write_text(KERNEL % "")
    args = [sys.executable, "-c", WITHOUT_COMPILER, verb, PROBLEM, str(tmp_path / "kernel.c"), "--json"]
    result = subprocess.run(args, capture_output=True, text=True, env=bare)
    assert result.returncode == 3, result.stderr
    assert json.loads(result.stdout)["error"]["kind"] == "environment"


def test_doctor_names_what_is_missing(bare: dict[str, str]) -> None:
    args = [sys.executable, "-c", WITHOUT_COMPILER, "doctor", "--json"]
    result = subprocess.run(args, capture_output=True, text=True, env=bare)
    report = json.loads(result.stdout)
    assert result.returncode == 3 and not report["ok"]
    missing = [check["name"] for check in report["checks"] if check["required"] and not check["ok"]]
    assert "engine gemmini/gemsim" in missing


def running_from(folder: Path) -> list[str]:
    """Command lines of live processes that name the folder: the simulator is started from there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.anyio
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
async def test_a_cancelled_call_leaves_no_process(tmp_path: Path, make_home: Callable[[Path], Path]) -> None:
    home = Home(make_home(tmp_path / "home"))
    env = {k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC_")} | {"AUTOCOMP_HOME": str(home.path)}
    server = StdioServerParameters(command=sys.executable, args=["-m", "autocomp_mcp", "serve"], env=env)
    endless = {"problem": "gemmini/gemm-1024x1024x1024", "source": KERNEL % "for (;;) ;"}

    def simulating() -> list[str]:
        return [line for line in running_from(home.cache) if " job " in line]

    async with Client(server) as client:
        await client.call_tool("simulate_kernel", {"problem": PROBLEM, "source": KERNEL % ""})
        with anyio.fail_after(120):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "simulate_kernel", endless)
                while not simulating():  # noqa: ASYNC110 - nothing tells when a process of another one ends
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            while simulating():  # noqa: ASYNC110 - nothing tells when a process of another one ends
                await anyio.sleep(0.05)
        assert not (await client.call_tool("list_targets", {})).is_error
