"""The harness on a real machine: Spike with libgemmini, where it is installed (AUTOCOMP_SPIKE or PATH).

The console path of the engines that cannot dump memory is tried here too: Spike is given to them as their simulator.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.engines import Spike
from autocomp_mcp.hardware_adapters.store import Home
from engine_stand_ins import left_over

FOUND = Spike().availability()
pytestmark = pytest.mark.skipif(not FOUND.available, reason=f"REAL SPIKE NOT TESTED: {FOUND.reason}")

PROBLEM = "gemmini/gemm-64x64x64"
RIGHT = """\
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(64);
  config_ld(64, 1.0f, 16, 0);
  for (int i = 0; i < 64; i += 16)
    for (int j = 0; j < 64; j += 16) {
      for (int k = 0; k < 64; k += 16) {
        mvin(A + i * 64 + k, 0, 16, 16);
        mvin(B + k * 64 + j, 16, 16, 16);
        preload(16, k ? ACCADD : ACC, 16, 16, 16, 16);
        compute_preloaded(0, NONE, 16, 16, 16, 16);
      }
      mvout(C + i * 64 + j, ACC, 16, 16);
    }
  fence();
  %s
}
"""
LINE = RIGHT.split("\n").index("  %s") + 1
# Real systems take longer than one cycle for an instruction; on Spike the bound has to be reached by waiting.
WAIT = "for (volatile int i = 0; i < 1000; i++);"
HARNESS, PARAMETERS, REPORT = 0x8000_0000, 0x8008_0000, 0x8880_0000


def judged(
    home: Home, source: str, engine: str = "spike", problem: str = PROBLEM, timeout_s: float = 60.0
) -> Evaluation:
    environment = dict(os.environ)
    if engine != "spike":
        words = shlex.split(FOUND.reason.replace(" with ", " "))
        arguments = ["--isa=rv64gc", "-m256", f"--extlib={words[1]}", "--extension=gemmini", "{program}"]
        environment |= {
            "AUTOCOMP_GEMMINI_VERILATOR": words[0], "AUTOCOMP_GEMMINI_VERILATOR_ARGS": shlex.join(arguments),
        }  # fmt: skip
    adapter = GemminiAdapter(home, environment=environment)

    async def main() -> Evaluation:
        return await adapter.evaluate(adapter.problem(problem), source, engine=engine, timeout_s=timeout_s)

    return anyio.run(main)


def test_a_right_kernel_passes_and_instructions_are_not_called_cycles(home: Home) -> None:
    result = judged(home, RIGHT % "")
    assert result.passed, result.message
    assert result.latency is not None and result.latency.unit == "instructions"
    # 3 configurations, 16 tiles of 4 steps of 4 commands and one mvout, and the loops around them.
    assert 3 + 16 * 17 < result.latency.value < 4000
    assert "not cycles" in result.message and result.utilisation is None and result.counters["cycles"] is None
    assert result.input_sets == ("full", "sparse", "dense")


@pytest.mark.parametrize("problem", [
    "gemmini/gemm-1x1x1", "gemmini/gemm-17x33x5", "gemmini/gemm-64x48x32-biasmat-relu-shift6",
    "gemmini/gemm-20x20x20-bias-shift3", "gemmini/conv-9x7x20x18-k3-s2-p1",
    "gemmini/conv-6x5x16x16-k1-s1-p0-bias-relu-shift5",
])  # fmt: skip
def test_baselines_pass_on_an_independent_gemmini(home: Home, problem: str) -> None:
    adapter = GemminiAdapter(home)
    result = judged(home, adapter.baseline(adapter.problem(problem)), problem=problem)
    assert result.passed, result.message


@pytest.mark.parametrize("engine", ["spike", "verilator"])
def test_a_wrong_kernel_is_refused(home: Home, engine: str) -> None:
    wrong = judged(home, RIGHT.replace("j < 64", "j < 48") % WAIT, engine)
    assert wrong.verdict == "wrong_result", wrong.message
    assert judged(home, RIGHT.split("{\n")[0] + "{}", engine).verdict == "wrong_result"


def test_the_report_on_the_console_agrees_with_memory(home: Home) -> None:
    by_console, by_memory = judged(home, RIGHT % WAIT, "verilator"), judged(home, RIGHT % WAIT)
    assert by_console.passed, by_console.message
    assert by_console.latency is not None and by_memory.latency is not None
    assert by_console.latency.value == by_memory.latency.value, "Spike counts one cycle per instruction"


def test_more_work_counts_more_and_the_harness_counts_nothing(home: Home) -> None:
    short, long = (judged(home, RIGHT % ('__asm__ volatile("addi x0, x0, 0");\n' * n)) for n in (0, 100))
    assert short.latency is not None and long.latency is not None, (short.message, long.message)
    assert long.latency.value - short.latency.value == 100


def test_an_endless_loop_is_stopped_and_nothing_stays_behind(home: Home) -> None:
    before = spikes()
    result = judged(home, RIGHT % "for (;;) fence();", timeout_s=5.0)
    assert result.verdict == "timed_out" and "in the kernel" in result.message
    assert not left_over(spikes() - before)


ATTACKS = {
    "exit by the host interface": f"*(volatile uint64_t *){HARNESS:#x} = 1;",
    "system call": '__asm__ volatile("ecall");',
    "trap vector": '__asm__ volatile("csrw mtvec, zero");',
    "cycle counter": '__asm__ volatile("csrw mcycle, zero");',
    "memory protection": '__asm__ volatile("csrw pmpcfg0, zero");',
    "machine mode": '__asm__ volatile("mret");',
    "read the nonce": f"C[0] = *(volatile int8_t *){PARAMETERS:#x};",
    "write the report": f"*(volatile uint64_t *){REPORT + 8:#x} = 2;",
    "DMA into the report": f"mvout((int8_t *){REPORT:#x}, ACC, 16, 16); fence();",
    "DMA into the harness": f"mvout((int8_t *){HARNESS:#x}, ACC, 16, 16); fence();",
    "DMA out of the parameters": f"mvin((int8_t *){PARAMETERS:#x}, 0, 16, 16); fence();",
    "change an input": "*(volatile int8_t *)A = 1;",
    "jump into the harness": f"((void (*)(void)){HARNESS:#x})();",
    "another stack": f'__asm__ volatile("li sp, {REPORT + 64:#x}; sd zero, 0(sp)");',
    "return elsewhere": f'__asm__ volatile("li ra, {HARNESS:#x}; ret");',
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_the_harness_are_stopped_where_they_happen(home: Home, name: str) -> None:
    result = judged(home, RIGHT % ATTACKS[name])
    assert result.verdict == "crashed", result.message
    assert result.fault is not None and result.latency is None
    if result.fault.kind != "wild_jump":
        assert result.fault.line == LINE, result.message


def test_an_illegal_scratchpad_row_is_the_kernels_fault(home: Home) -> None:
    result = judged(home, RIGHT % "mvin(A, 0x4000, 16, 16); fence();")
    assert result.verdict == "crashed" and "out_of_range" in result.message


def test_parallel_evaluations_are_apart(home: Home) -> None:
    adapter = GemminiAdapter(home)
    found: dict[int, Evaluation] = {}

    async def one(index: int) -> None:
        source = (RIGHT if index % 2 == 0 else RIGHT.replace("i < 64", "i < 48")) % f"volatile int i = {index};"
        found[index] = await adapter.evaluate(adapter.problem(PROBLEM), source, engine="spike")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for index in range(6):
                tasks.start_soon(one, index)

    anyio.run(main)
    assert [found[i].verdict for i in range(6)] == ["passed", "wrong_result"] * 3


def spikes() -> set[int]:
    """Processes whose program is the Spike under test."""
    binary = FOUND.reason.partition(" with ")[0]
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if binary.encode() in line:
            found.add(int(folder.name))
    return found
