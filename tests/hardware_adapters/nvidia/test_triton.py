"""Triton kernels without a GPU: right ones pass, wrong ones are found, each for what is wrong with it."""

import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import autocomp_mcp
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure, Evaluation, Profile
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.forms import triton_version
from autocomp_mcp.hardware_adapters.nvidia.triton_screen import MAX_NAME, screen
from autocomp_mcp.hardware_adapters.store import Home
from faults import Process, running
from triton_kernels import GEMM, HEAD, RIGHT, SOFTMAX
from wrong_triton_kernels import SOURCES, WRONG

pytestmark = pytest.mark.skipif(
    triton_version() is None,
    reason="Triton is not installed (pip install 'autocomp-mcp[triton]'): NOTHING of Triton kernels was checked",
)
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]) -> NvidiaAdapter:
    return NvidiaAdapter(Home(make_home(tmp_path_factory.mktemp("triton") / "home")), path="/nonexistent")


@pytest.fixture
def evaluated(adapter: NvidiaAdapter):
    def run(problem: str, source: str, timeout_s: float = PATIENCE_S) -> Evaluation:
        return anyio.run(lambda: adapter.evaluate(adapter.problem(f"nvidia/{problem}"), source, timeout_s=timeout_s))

    return run


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_kernel_passes(name, evaluated):
    found = evaluated(*RIGHT[name])
    assert found.verdict == "passed", found.message
    assert found.latency is not None and "not measured" in found.latency.statistic and found.seed == 0
    assert found.compilation is not None and found.compilation.facts["registers_per_thread"] > 0


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_found(name, evaluated):
    found = evaluated(WRONG[name].problem, SOURCES[name])
    assert (found.verdict, found.latency) == (WRONG[name].verdict, None), found.message
    assert WRONG[name].said in found.message


def test_there_are_enough_of_them():
    assert len(RIGHT) >= 10 and len(WRONG) >= 10


def test_a_fault_names_its_line(evaluated):
    source = SOURCES["load without a mask"]
    found = evaluated("softmax-64x128", source)
    assert found.fault is not None and found.fault.line is not None
    assert "tl.load" in source.split("\n")[found.fault.line - 1]


def test_the_kernel_of_the_documentation_passes(evaluated):
    text = Path(autocomp_mcp.__file__).with_name("docs").joinpath("nvidia.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert evaluated("softmax-64x128", source).verdict == "passed"


def test_an_endless_loop_is_stopped(evaluated):
    endless = SOFTMAX.replace(
        "    row = tl.program_id(0)\n", "    row = tl.program_id(0)\n    while row > -1:\n        row += 0\n"
    )
    found = evaluated("softmax-64x128", HEAD + endless, timeout_s=8)
    assert found.verdict == "timed_out"


@pytest.mark.parametrize("job", ["interpret", "compile", "ptxas"])
def test_a_process_that_is_killed_is_no_fault_of_the_kernel(job, evaluated, tmp_path, monkeypatch):
    """From outside, as the system does it where memory runs out."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def wanted(found: Process) -> bool:
        words = found.command
        mine = any(word.startswith(str(tmp_path)) for word in words)
        return mine and (
            words[0].endswith("ptxas") if job == "ptxas" else words[0] == sys.executable and job in words[-2]
        )

    def strike() -> None:
        while not ended.is_set() and not any([process.kill() for process in running(wanted)]):
            time.sleep(0.001)

    for attempt in range(8):  # ptxas may have ended by the time that it is hit
        ended = threading.Event()
        striking = threading.Thread(target=strike)
        striking.start()
        try:
            found = evaluated("sgemm-64x64x64", f"{HEAD}{GEMM}\n# {job}, attempt {attempt}\n")
        except EngineFailure as error:
            assert "killed" in str(error) or "-9" in str(error)
            return
        finally:
            ended.set()
            striking.join()
        assert found.verdict == "passed", found.message
    pytest.fail("it was never hit")


def test_a_name_is_short():
    """It is written down at every launch."""
    longest = SOFTMAX.replace("rows", "r" * MAX_NAME)
    assert screen(HEAD + longest).refused is None
    assert "letters" in (screen(HEAD + longest.replace("r" * MAX_NAME, "r" * (MAX_NAME + 1))).refused or "")


@pytest.mark.parametrize("end", ["\r", "\x0c", "\x85", "\u2028"])
def test_lines_end_for_everybody_where_they_end_for_python(end):
    assert "ends lines" in (screen(f"# {end}{HEAD}{SOFTMAX}").refused or "")
    assert screen((HEAD + SOFTMAX).replace("\n", "\r\n")).refused is None


def test_counts_are_those_of_the_addresses(adapter):
    """64 x 64 x 64 in tiles of 32: each of 4 programs loads 2 x 32 x 64 floats, as 8-sector rows of 16-byte pieces."""
    problem = adapter.problem("nvidia/sgemm-64x64x64")
    found = anyio.run(lambda: adapter.profile(problem, HEAD + GEMM, timeout_s=PATIENCE_S))
    assert isinstance(found, Profile), found
    assert found.counters["blocks"] == 4 and found.counters["threads_per_block"] == 128
    assert found.counters["global_load_sectors"] == found.counters["global_load_ideal_sectors"] == 4 * 2 * 32 * 64 // 8
    assert found.counters["global_load_requests"] == 4 * 2 * 32 * 64 // (4 * 32)
    assert found.counters["global_store_sectors"] == 64 * 64 // 8
    assert found.counters["dot_flops"] == 2 * 64**3
    assert {line.text.split(" = ")[0] for line in found.lines} >= {"x", "y"}


def test_compiling_alone_tells_registers_and_shared_memory(adapter):
    problem = adapter.problem("nvidia/sgemm-64x64x64")
    found = anyio.run(lambda: adapter.compile(problem, HEAD + GEMM))
    assert found.ok and "triton" in found.compiler
    assert found.facts["registers_per_thread"] > 16 and found.facts["shared_bytes"] >= 2 * 32 * 32 * 4
