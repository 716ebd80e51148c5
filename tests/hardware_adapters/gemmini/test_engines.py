"""Engines of whole machines, with a stand-in for the simulator: how they are found, started, stopped and believed.

What the harness does on a real machine is tested in test_spike.py, where Spike is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import (
    EngineFailure,
    EnvironmentLackError,
    Evaluation,
    Mismatch,
    Tensor,
    UnknownEngineError,
    UsageError,
)
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.gemmini.adapter import GemminiAdapter
from autocomp_mcp.hardware_adapters.gemmini.harness import CallReport, Placed
from autocomp_mcp.hardware_adapters.gemmini.whole_machine import sampled
from autocomp_mcp.hardware_adapters.store import Home
from engine_stand_ins import PROBLEM, Installed, install, left_over

# The same product as PROBLEM, under the names and in the shapes of a convolution.
CONVOLUTION = "gemmini/conv-6x8x80x64-k1-s1-p0"
KERNEL = "#include <stdint.h>\nvoid solution(const int8_t *A, const int8_t *B, int8_t *C) {\n  C[0] = A[0] * B[0];\n}\n"
ENGINES = ("spike", "verilator", "firesim")
Judge = Callable[..., Evaluation]


class Machine:
    """One engine, installed with one behaviour."""

    def __init__(self, home: Home, folder: Path, engine: str, behaviour: str) -> None:
        self.installed: Installed = install(folder, engine, behaviour)
        self.engine, self.home, self.folder = engine, home, folder
        self.adapter = GemminiAdapter(home, environment=self.installed.environment)

    async def evaluate(
        self, source: str = KERNEL, timeout_s: float = 30.0, problem_id: str = PROBLEM, **more: object
    ) -> Evaluation:
        problem = self.adapter.problem(problem_id)
        return await self.adapter.evaluate(problem, source, engine=self.engine, timeout_s=timeout_s, **more)  # type: ignore[arg-type]

    def judged(self, timeout_s: float = 30.0, problem_id: str = PROBLEM) -> Evaluation:
        async def main() -> Evaluation:
            return await self.evaluate(timeout_s=timeout_s, problem_id=problem_id)

        return anyio.run(main)


@pytest.fixture
def machine(home: Home, tmp_path: Path) -> Callable[[str, str], Machine]:
    return lambda engine, behaviour="right": Machine(home, tmp_path / engine, engine, behaviour)


Make = Callable[..., Machine]


def test_without_them_each_says_what_would_make_it_available(home: Home, tmp_path: Path) -> None:
    adapter = GemminiAdapter(home, environment={"PATH": str(tmp_path)})
    found = {status.name: status for status in adapter.engines()}
    assert list(found) == ["gemsim", *ENGINES] and [s.default for s in found.values()] == [True, False, False, False]
    for name, variable in [
        ("spike", "AUTOCOMP_SPIKE"), ("verilator", "AUTOCOMP_GEMMINI_VERILATOR"), ("firesim", "AUTOCOMP_FIRESIM"),
    ]:  # fmt: skip
        assert not found[name].available and variable in found[name].reason and found[name].version is None
    problem = adapter.problem(PROBLEM)
    for name in ENGINES:
        with pytest.raises(EnvironmentLackError, match=name):
            anyio.run(lambda name=name: adapter.evaluate(problem, KERNEL, engine=name))
    with pytest.raises(UnknownEngineError, match="spike"):
        anyio.run(lambda: adapter.evaluate(problem, KERNEL, engine="spke"))
    with pytest.raises(UsageError, match="does not profile"):
        anyio.run(lambda: adapter.profile(problem, KERNEL, engine="spike"))


def test_reasons_name_what_exactly_is_wrong(machine: Make, home: Home, tmp_path: Path) -> None:
    spike = machine("spike")
    (spike.folder / "lib" / "libgemmini.so").unlink()
    assert "libgemmini.so is not" in spike.adapter.engine("spike").reason
    broken = Machine(home, tmp_path / "broken", "spike", "broken")
    assert "no extension of this name" in broken.adapter.engine("spike").reason
    for variable, value, said in [
        ("AUTOCOMP_SPIKE", "/nowhere/spike", "/nowhere/spike is not a program"),
        ("AUTOCOMP_GEMMINI_VERILATOR", "/nowhere/sim", "not a program that can be run"),
        ("AUTOCOMP_FIRESIM", str(tmp_path), "no FireSim manager"),
    ]:
        adapter = GemminiAdapter(home, environment={"PATH": "/nowhere", variable: value})
        assert any(said in status.reason for status in adapter.engines()), said


@pytest.mark.parametrize(("engine", "unit", "source"), [
    ("spike", "instructions", "estimated"), ("verilator", "cycles", "measured"), ("firesim", "cycles", "measured"),
])  # fmt: skip
def test_a_right_kernel_passes_with_numbers_of_its_unit(machine: Make, engine: str, unit: str, source: str) -> None:
    made = machine(engine)
    assert made.adapter.engine(engine).available, made.adapter.engine(engine).reason
    result = made.judged()
    assert result.passed, result.message
    assert (result.engine, result.source) == (engine, source)
    assert result.latency is not None and result.latency.unit == unit
    # What an empty kernel takes is subtracted.
    assert result.latency.value == (700 if unit == "instructions" else 50_000)
    if unit == "instructions":
        assert "not cycles" in result.message and "not cycles" in result.latency.statistic
        assert result.utilisation is None and result.counters["cycles"] is None
        assert result.warm_latency is not None and result.warm_latency.value == 701
        assert result.input_sets == ("full", "sparse", "dense") and len(made.installed.runs()) == 3
    else:
        assert result.utilisation == pytest.approx(48 * 64 * 80 / 256 / 50_000)
        assert len(made.installed.runs()) == 1
    assert result.log is not None and "autocomp-begun" in Path(result.log).read_text(), "what it printed is kept"


@pytest.mark.parametrize("engine", ENGINES)
def test_one_wrong_element_is_found(machine: Make, engine: str) -> None:
    result = machine(engine, "wrong").judged()
    assert result.verdict == "wrong_result", result.message
    if engine == "spike":
        assert result.wrong_elements == 1 and result.mismatches[0].index == (24, 21)
    else:
        assert "of 64 stretches of C" in result.message


@pytest.mark.parametrize("dtype", ["int8", "int32"])
def test_bytes_that_were_read_back_tell_which_elements_are_wrong(dtype: str) -> None:
    right = np.arange(-30, 30, dtype=dtype).reshape(6, 10)
    got = right.copy()
    got[2, 3] += 1
    first = 23 * right.itemsize
    samples = (first, 0, *range(first, first + right.itemsize))
    call = CallReport(0, 0, np.zeros(0), got.view(np.uint8).ravel()[list(samples)])
    output = Tensor(name="C", role="output", shape=right.shape, dtype=dtype)
    found = sampled(Placed(b"", 0, samples, 1, output), call, right)
    assert found == (Mismatch(output="C", index=(2, 3), got=-6, expected=-7),)


@pytest.mark.parametrize("engine", ENGINES)
def test_convolutions_are_judged_too(machine: Make, engine: str, home: Home, tmp_path: Path) -> None:
    result = machine(engine).judged(problem_id=CONVOLUTION)
    assert result.passed and result.problem == CONVOLUTION, result.message
    wrong = Machine(home, tmp_path / "wrong", engine, "wrong").judged(problem_id=CONVOLUTION)
    assert wrong.verdict == "wrong_result", wrong.message
    if engine == "spike":  # row 24 of the product is the image's row 3, column 0
        assert [m.index for m in wrong.mismatches] == [(0, 3, 0, 21)] and "of output are wrong" in wrong.message
    else:
        assert "of 64 stretches of output" in wrong.message


@pytest.mark.parametrize("engine", ENGINES)
def test_problems_for_another_configuration_are_refused(machine: Make, engine: str) -> None:
    made = machine(engine)
    with pytest.raises(UsageError, match="gemmini4-fp32"):
        made.judged(problem_id="gemmini/tinympc-forward-4x2x5")
    assert not made.installed.runs()


@pytest.mark.parametrize("engine", [*(pytest.param(e, marks=pytest.mark.slow) for e in ENGINES[:2]), "firesim"])
def test_a_kernel_that_hangs_is_stopped_with_all_its_processes(machine: Make, engine: str) -> None:
    made = machine(engine, "hangs")
    started = time.monotonic()
    if engine == "firesim":  # it brings the console only in the end, so nobody can say who is at fault
        with pytest.raises(EngineFailure, match="does not end"):
            made.judged(timeout_s=6.0)
    else:
        result = made.judged(timeout_s=6.0)
        assert result.verdict == "timed_out" and "in the kernel" in result.message
    assert time.monotonic() - started < 30
    pids = made.installed.pids()
    assert len(pids) == 2, "the simulator and its child"
    assert not left_over(pids)


def test_cancelling_stops_all_processes(machine: Make) -> None:
    made = machine("verilator", "hangs")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.evaluate)
            with anyio.fail_after(30):
                while len(made.installed.pids()) < 2:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert not left_over(made.installed.pids())


@pytest.mark.parametrize("engine", ["spike", "verilator"])
def test_who_is_at_fault_when_there_is_no_report(machine: Make, engine: str, home: Home, tmp_path: Path) -> None:
    """The kernel only where it had been called."""
    fault = machine(engine, "dies").judged()
    assert fault.verdict == "crashed" and "rs2 bits out of range" in fault.message
    for behaviour, said in [("dies before", "cannot be loaded"), ("hangs before", "did not get as far as the kernel")]:
        with pytest.raises(EngineFailure, match=said):
            Machine(home, tmp_path / behaviour, engine, behaviour).judged(timeout_s=1.5)


def test_a_dump_that_cannot_be_read_is_the_engines_failure(machine: Make) -> None:
    with pytest.raises(EngineFailure, match="cannot be read"):
        machine("spike", "garbles").judged()


@pytest.mark.parametrize("behaviour", ["forges", "chatty"])
def test_the_report_is_found_among_forged_ones_and_megabytes(machine: Make, behaviour: str) -> None:
    """A line with another nonce is not the report; of long output the beginning and the end are kept."""
    result = machine("verilator", behaviour).judged()
    assert result.passed and result.latency is not None and result.latency.value == 50_000, result.message
    assert Path(result.log or "").stat().st_size < 200_000


def test_a_trap_is_told_with_its_line(machine: Make) -> None:
    result = machine("verilator", "trapped").judged()
    assert result.verdict == "crashed" and result.fault is not None
    assert result.fault.kind == "illegal_address" and "0x1234" in result.fault.message
    assert result.fault.line in (2, 3)


def test_fewer_cycles_than_the_hardware_needs_are_refused(machine: Make) -> None:
    result = machine("verilator", "too quick").judged()
    assert result.verdict == "rejected" and result.latency is None


def test_a_machine_without_protection_is_used_only_when_told_so(machine: Make, home: Home) -> None:
    made = machine("verilator", "unprotected")
    with pytest.raises(EnvironmentLackError, match="AUTOCOMP_UNISOLATED"):
        made.judged()
    made.adapter = GemminiAdapter(home, environment=made.installed.environment | {"AUTOCOMP_UNISOLATED": "1"})
    result = made.judged()
    assert result.passed and "did not keep the kernel from the harness" in result.message


@pytest.mark.parametrize("engine", [*(pytest.param(e, marks=pytest.mark.slow) for e in ENGINES[:2]), "firesim"])
def test_parallel_evaluations_never_share_files(machine: Make, engine: str) -> None:
    made = machine(engine, "shares")
    sources = [KERNEL.replace("C[0]", f"C[{index}]") for index in range(4)]
    results: list[Evaluation] = []

    async def one(source: str) -> None:
        results.append(await made.evaluate(source, timeout_s=60.0))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for source in sources:
                tasks.start_soon(one, source)

    anyio.run(main)
    assert len({r.kernel for r in results}) == 4 and all(r.passed for r in results), [r.message for r in results]
    runs = made.installed.runs()
    assert len({folder for _, folder, _ in runs}) == len({nonce for _, _, nonce in runs}) == len(runs)
    assert not any(Path(folder).exists() for _, folder, _ in runs), "nothing is left behind"


def test_a_simulation_of_firesim_is_killed_through_its_manager_and_cleaned_up_after(machine: Make) -> None:
    made = machine("firesim", "hangs")
    with pytest.raises(EngineFailure):
        made.judged(timeout_s=6.0)
    calls = (made.folder / "calls.log").read_text().splitlines()
    assert [line.split()[:2] for line in calls] == [
        ["begin", "infrasetup"], ["end", "infrasetup"], ["begin", "runworkload"], ["begin", "kill"], ["end", "kill"],
    ]  # fmt: skip
    deploy = made.folder / "deploy"
    assert not list((deploy / "workloads").iterdir()) and not list((deploy / "results-workload").iterdir())


def test_a_run_farm_that_is_down_is_no_kernels_failure(machine: Make) -> None:
    with pytest.raises(EngineFailure, match="no run hosts are up"):
        machine("firesim", "no run farm").judged()


def test_evaluations_of_engines_are_remembered_apart(machine: Make, home: Home) -> None:
    made = machine("spike")

    async def ask(engine: str | None) -> Evaluation:
        return await evaluate(PROBLEM, KERNEL, engine=engine, home=home, adapter=made.adapter)

    first, again = anyio.run(ask, "spike"), anyio.run(ask, "spike")
    assert first.passed and not first.cached and again.cached and len(made.installed.runs()) == 3
    assert anyio.run(ask, None).verdict == "wrong_result", "gemsim runs the kernel, which computes one element"


@pytest.mark.parametrize("engine", ["verilator", "firesim"])
def test_another_machine_under_the_same_name_is_another_version(home: Home, tmp_path: Path, engine: str) -> None:
    """DRAM's description, which Verilator's arguments name, or the FPGA's image, which a file beside FireSim's does."""
    environment = install(tmp_path / engine, engine).environment
    if engine == "verilator":
        described = tmp_path / "dram" / "dram.ini"
        described.parent.mkdir()
        described.write_text("tCL=11")
        environment["AUTOCOMP_GEMMINI_VERILATOR_ARGS"] = f"+dramsim_ini_dir={described.parent} {{program}}"
    else:
        described = Path(environment["AUTOCOMP_FIRESIM"]) / "config_hwdb.yaml"
        described.write_text("agfi: a")
    adapter = GemminiAdapter(home, environment=environment)
    before = adapter.engine(engine).version
    assert before == adapter.engine(engine).version
    described.write_text(described.read_text() + "0")
    assert adapter.engine(engine).version != before


def test_arguments_that_are_no_words_are_said(home: Home, tmp_path: Path) -> None:
    environment = install(tmp_path, "verilator").environment
    adapter = GemminiAdapter(home, environment={**environment, "AUTOCOMP_GEMMINI_VERILATOR_ARGS": "'{program}"})
    assert "AUTOCOMP_GEMMINI_VERILATOR_ARGS" in adapter.engine("verilator").reason
