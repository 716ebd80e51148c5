"""The engines `neuron` and `nki-simulate`, driven against stand-ins of AWS's software; never run on hardware."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import (
    EngineFailure,
    EnvironmentLackError,
    Evaluation,
    Profile,
    UnknownEngineError,
    UsageError,
)
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.store import Home
from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter
from autocomp_mcp.hardware_adapters.trainium.neuron import runner
from autocomp_mcp.hardware_adapters.trainium.neuron.profiler import parse_summary
from autocomp_mcp.hardware_adapters.trainium.neuron.runtime_errors import runtime_status
from autocomp_mcp.hardware_adapters.trainium.neuron.summary import bottlenecks, counters, units
from autocomp_mcp.hardware_adapters.trainium.nkisim import modules
from autocomp_mcp.hardware_adapters.trainium.nkisim.nki1 import modules as nki1
from autocomp_mcp.menus.menu import load_menu
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
RECORDED = Path(__file__).parents[2] / "data" / "neuron_profile" / "summary.json"


def adapter(tmp_path: Path, **what: Any) -> TrainiumAdapter:
    (tmp_path / "home").mkdir()
    return TrainiumAdapter(Home(tmp_path / "home"), environment=machine(tmp_path / "machine", **what))


def judged(here: TrainiumAdapter, engine: str = "neuron", source: str = KERNEL, timeout_s: float = 60.0) -> Evaluation:
    async def run() -> Evaluation:
        return await here.evaluate(here.problem(PROBLEM), source, engine=engine, timeout_s=timeout_s)

    return anyio.run(run)


def profiled(here: TrainiumAdapter, engine: str = "neuron", **more: Any) -> Profile | Evaluation:
    return anyio.run(lambda: here.profile(here.problem(PROBLEM), KERNEL, engine=engine, **more))


def test_a_right_kernel_is_measured(tmp_path: Path) -> None:
    here = adapter(tmp_path)
    found = judged(here)
    assert found.passed and found.source == "measured" and found.engine == "neuron", found.message
    assert found.input_sets == ("normal", "wide")
    # Executions 3 to 12 take 40.3 to 41.2 us, but the 7th 60: the median leaves it out, p99 of ten is the slowest.
    assert found.latency is not None and found.latency.value == 40850 and found.latency.unit == "ns"
    assert "median of 10 executions" in found.latency.statistic and "2 warm-ups" in found.latency.statistic
    assert "neuron-explorer" in found.latency.statistic and found.latency.spread is not None
    assert found.counters["latency_p99_ns"] == 60000 and found.counters["latency_min_ns"] == 40300
    assert found.counters["executions_timed"] == 10
    assert found.utilisation is not None and 0 < found.utilisation < 1


def test_an_older_profiler_that_keeps_one_execution_is_asked_again(tmp_path: Path) -> None:
    found = judged(adapter(tmp_path, profiler="neuron-profile", profiling="keeps one"))
    assert found.passed and found.counters["executions_timed"] == 10, found.message
    assert found.latency is not None and found.latency.value == 40300, "each the third of its capture"


def test_the_profile_is_measured_and_names_bottlenecks_of_the_menu(tmp_path: Path) -> None:
    found = profiled(adapter(tmp_path))
    assert isinstance(found, Profile) and found.source == "measured" and found.engine == "neuron"
    assert found.counters["hbm_bytes_read"] == 1048576 and found.counters["spill_bytes_reloaded"] == 131072
    assert found.counters["mbu_per_mille"] == 184 and found.counters["dma_transfers"] == 96
    assert found.stalls == () and found.traffic == () and found.lines == (), "not in the summary, so not claimed"
    ids = [bottleneck.id for bottleneck in found.bottlenecks]
    assert {"sbuf_space", "reload_traffic", "small_transfers", "dependency"} == set(ids)
    menu = load_menu("trainium")
    assert set(ids) <= set(menu.bottlenecks)
    assert all(menu.addressing(ids, "gemm", ("matmul", "fp32")).values())


@pytest.mark.parametrize(
    ("behaviour", "verdict", "kind", "said"),
    [
        ("wrong", "wrong_result", None, "1 of 6144 elements of out are wrong"),
        ("shape", "wrong_result", "wrong_output", "has shape"),
        ("oob", "crashed", "nrt_exec_oob", "NRT_EXEC_OOB(1006): an access out of bounds"),
    ],
)
def test_a_kernel_at_fault(tmp_path: Path, behaviour: str, verdict: str, kind: str | None, said: str) -> None:
    found = judged(adapter(tmp_path, nki=behaviour))
    assert found.verdict == verdict and said in found.message, found.message
    assert (found.fault.kind if found.fault else None) == kind and found.latency is None


def test_a_kernel_that_the_compiler_refuses_names_the_line(tmp_path: Path) -> None:
    source = KERNEL.replace("stationary=a_t, moving=b", "stationary=b.repeat(2, axis=1), moving=a_t")
    found = judged(adapter(tmp_path), source=source)
    assert found.verdict == "compile_error" and "stationary free size exceeds 128" in found.message
    assert found.fault is not None and found.fault.line == 7 and "line 7: nisa.nc_matmul" in found.message
    assert found.compilation is not None and not found.compilation.ok and found.compilation.diagnostics[0].line == 7


def test_outputs_whose_type_the_runtime_does_not_know_are_read(tmp_path: Path) -> None:
    assert judged(adapter(tmp_path, nki="raw bytes")).passed


def test_a_kernel_that_hangs_is_stopped(tmp_path: Path) -> None:
    started = time.monotonic()
    found = judged(adapter(tmp_path, nki="hang"), timeout_s=3.0)
    assert found.verdict == "timed_out" and time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"nki": "no device"}, r"NRT_UNINITIALIZED\(13\)"),
        ({"nki": "dies"}, "ended with status -6"),
        ({"profiling": "refused"}, "capture was refused with status 1: .*no NeuronCore is free"),
        ({"profiling": "babbles"}, "summary has no total_time: processing profile"),
        ({"profiling": "keeps none"}, "recorded 0 executions of the 10"),
    ],
)
def test_a_machine_at_fault_is_no_verdict(tmp_path: Path, what: dict[str, str], said: str) -> None:
    with pytest.raises(EngineFailure, match=said):
        judged(adapter(tmp_path, **what))


def test_a_capture_that_hangs_ends(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match="capture did not end within 4 s"):
        judged(adapter(tmp_path, profiling="hang"), timeout_s=4.0)


@pytest.mark.parametrize(
    "text",
    ["globals()", "open('job.json')", "eval('1')", "getattr(nki, 'jit')", "dataclasses.sys", "numpy.load('a_t.0.in')"],
)
def test_what_nkisim_withholds_of_python_is_not_there(tmp_path: Path, text: str) -> None:
    source = f"import dataclasses, numpy\n{KERNEL}    x = {text}\n"
    found = judged(adapter(tmp_path), source=source)
    assert found.verdict == "compile_error" and found.fault is not None and found.fault.line == 9, found.message
    assert "is not defined" in found.message or "has no attribute" in found.message, found.message


def test_the_expected_results_are_never_in_the_kernels_process(tmp_path: Path) -> None:
    """Its folder holds inputs and descriptions only."""
    source = KERNEL.replace("    nisa.nc_matmul", "    assert False, nki.pathlib.os.listdir()\n    nisa.nc_matmul")
    message = judged(adapter(tmp_path), source=source).message
    assert "'a_t.0.in'" in message and "'job.json'" in message and "expected" not in message, message


DUMMY = KERNEL.replace("solution", "dummy")
HOST = f"{DUMMY}\n\n{{mark}}def solution(a_t, b):\n    dummy(a_t, b)\n    return a_t.T @ b\n"


@pytest.mark.parametrize("engine", ["neuron", "nki-simulate"])
@pytest.mark.parametrize(
    "source",
    [
        HOST.format(mark="def host(f):\n    return f\n\n\n@host\n"),
        HOST.format(mark="").replace("def solution", "def other") + "\n\nsolution = other\n",
    ],
    ids=["decorated otherwise", "assigned"],
)
def test_python_of_the_host_is_no_kernel(tmp_path: Path, source: str, engine: str) -> None:
    found = judged(adapter(tmp_path), engine, source)
    assert found.verdict == "compile_error" and "@nki.jit" in found.message, found.message


def test_marks_with_options_make_kernels_too(tmp_path: Path) -> None:
    assert judged(adapter(tmp_path), source=KERNEL.replace("@nki.jit", "@nki.jit(platform_target='trn2')")).passed


def test_a_call_that_compiles_several_kernels_is_refused(tmp_path: Path) -> None:
    found = judged(adapter(tmp_path, nki="two kernels"))
    assert found.verdict == "rejected" and "a call compiles 2 kernels" in found.message, found.message


def test_of_what_was_compiled_for_the_input_sets_the_slowest_counts(tmp_path: Path) -> None:
    found = judged(adapter(tmp_path, nki="slower every time"))
    assert found.passed and found.latency is not None and found.latency.value == 41850, found.message


@pytest.mark.parametrize(
    ("what", "engine", "said"),
    [
        ({"device": False}, "neuron", "Trainium instance with the Neuron driver"),
        ({"profiler": None}, "neuron", "install aws-neuronx-tools"),
        ({"apis": ()}, "neuron", "has neither nki nor neuronxcc.nki: install AWS's `nki` wheel"),
        ({"apis": ()}, "nki-simulate", "AUTOCOMP_NEURON_PYTHON"),
        ({"apis": ("neuronxcc",)}, "nki-simulate", "this kernel is written for NKI 2"),
        ({"apis": ("neuronxcc",)}, "neuron", "has NKI 1 .*; this kernel is written for NKI 2"),
    ],
)
def test_what_is_missing_is_said_with_the_step(tmp_path: Path, what: Any, engine: str, said: str) -> None:
    here = adapter(tmp_path, **what)
    with pytest.raises(EnvironmentLackError, match=said):
        judged(here, engine)
    if "apis" not in what or not what["apis"]:
        status = here.engine(engine)
        assert not status.available and not status.default


def test_status_tells_what_was_found_and_that_it_never_ran_on_hardware(tmp_path: Path) -> None:
    here = adapter(tmp_path)
    names = [status.name for status in here.engines()]
    assert names == ["nkisim", "nkisim-trn1", "nkisim-trn3", "neuron", "nki-simulate"]
    neuron, simulate = here.engine("neuron"), here.engine("nki-simulate")
    assert neuron.available and neuron.kind == "hardware" and neuron.profiles and neuron.ranks
    assert "never" in neuron.trust and "stand-ins" in simulate.trust
    assert simulate.available and not simulate.profiles and not simulate.ranks
    with pytest.raises(UnknownEngineError, match="nki-simulate"):
        here.engine("nosuch")
    with pytest.raises(UsageError, match="tells no time"):
        here.search_engine("nki-simulate")


def test_the_simulator_of_aws_judges_without_a_time(tmp_path: Path) -> None:
    here = adapter(tmp_path, device=False, profiler=None)
    found = judged(here, "nki-simulate")
    assert found.passed and found.latency is None and found.utilisation is None and "tells no time" in found.message
    with pytest.raises(UsageError, match="does not profile"):
        profiled(here, "nki-simulate")
    bad = judged(here, "nki-simulate", KERNEL.replace("moving=b", "moving=b.nosuch"))
    assert bad.verdict == "crashed" and bad.fault is not None and bad.fault.line == 7


def test_it_finds_wrong_results_too(tmp_path: Path) -> None:
    assert judged(adapter(tmp_path, nki="wrong"), "nki-simulate").verdict == "wrong_result"


def test_a_timeline_is_not_promised(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="writes no timeline"):
        profiled(adapter(tmp_path), timeline=tmp_path / "timeline.json")


def test_what_was_measured_is_remembered_and_screened_kernels_never_start(tmp_path: Path) -> None:
    here = adapter(tmp_path)

    async def again(source: str) -> Evaluation:
        return await evaluate(PROBLEM, source, engine="neuron", home=here.home, adapter=here)

    first, second = anyio.run(again, KERNEL), anyio.run(again, f"# the same\n{KERNEL}")
    assert not first.cached and second.cached and second.latency == first.latency
    refused = anyio.run(again, f"import os\n{KERNEL}")
    assert refused.verdict == "rejected" and "import of 'os'" in refused.message


@pytest.mark.parametrize("mode", ["device", "simulate"])
def test_the_runner_calls_nki_1_as_documented(tmp_path: Path, mode: str) -> None:
    python = machine(tmp_path / "machine")["AUTOCOMP_NEURON_PYTHON"]
    folder = tmp_path / "call"
    folder.mkdir()
    rng = np.random.default_rng(1)
    a_t, b = rng.standard_normal((8, 4), np.float32), rng.standard_normal((8, 6), np.float32)
    a_t.tofile(folder / "a.in"), b.tofile(folder / "b.in")
    inputs = [
        {"name": "a_t", "file": "a.in", "dtype": "float32", "shape": [8, 4]},
        {"name": "b", "file": "b.in", "dtype": "float32", "shape": [8, 6]},
    ]
    outputs = [{"name": "out", "dtype": "float32", "shape": [4, 6]}]
    job = {"api": "neuronxcc", "mode": mode, "sets": [{"inputs": inputs}], "outputs": outputs, "constants": {}}
    job |= {"builtins": modules.BUILTINS, "modules": modules.plain_names(nki1.MODULES)}
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "kernel.py").write_text(KERNEL.replace("import nki\n", "import neuronxcc.nki as nki\n"))
    assert runner.__file__ is not None
    ended = subprocess.run([python, "-I", runner.__file__, folder], capture_output=True, text=True, timeout=120)
    report = json.loads((folder / "report.json").read_text())
    assert report["faults"] == [None], (report, ended.stderr)
    assert report["neffs"] == (["compiled-0/kernel.neff"] if mode == "device" else [])
    np.testing.assert_allclose(np.fromfile(folder / "out.0.out", np.float32).reshape(4, 6), a_t.T @ b, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "name", "by_kernel"),
    [
        ("NrtError: NRT Error NRT_EXEC_OOB(1006): Failed to execute model", "NRT_EXEC_OOB", True),
        ("NRT:nrt_execute failed, status=1003", "NRT_EXEC_COMPLETED_WITH_NUM_ERR", True),
        ("NRT_LOAD_NOT_ENOUGH_NC", "NRT_LOAD_NOT_ENOUGH_NC", False),
        ("NRT Error NRT_EXEC_HW_ERR_HBM_UE(1201)", "NRT_EXEC_HW_ERR_HBM_UE", False),
    ],
)
def test_runtime_codes(text: str, name: str, by_kernel: bool) -> None:
    found = runtime_status(text)
    assert found is not None and (found.name, found.by_kernel) == (name, by_kernel)
    assert runtime_status("error: tensor shapes differ, status=7") is None


def test_the_recorded_summary(tmp_path: Path) -> None:
    summary = parse_summary(f"INFO: reading\n{RECORDED.read_text()}".partition("\n")[2])
    assert [(unit.unit, unit.busy, unit.share) for unit in units(summary)] == [
        ("pe", 4530, 0.11), ("vector", 11165, 0.271), ("scalar", 15780, 0.383), ("gpsimd", 23196, 0.563),
        ("dma", 19610, 0.476),
    ]  # fmt: skip
    bare = {"total_time": 1e-5, "dma_active_time_percent": 0.95, "vector_engine_active_time_percent": 0.8}
    known = counters(bare)
    assert set(known.values()) == {None}, "unknown is not zero"
    problem = TrainiumAdapter(Home(tmp_path)).problem(PROBLEM)
    assert [b.id for b in bottlenecks(problem, 0.95, bare)] == ["near_bound", "dma_bound", "vector_bound"]
    for broken in ("", "{}", '{"n": {"total": 1}}', "[1]", '{"n": 3}'):
        with pytest.raises(EngineFailure, match="no total_time"):
            parse_summary(broken)


def test_nothing_of_it_is_looked_for_when_another_engine_is_asked() -> None:
    """A start of the simulator must not start the SDK's Python: it takes seconds."""
    text = (
        "import subprocess; subprocess.run = None\n"
        "from autocomp_mcp.hardware_adapters.trainium.adapter import TrainiumAdapter\n"
        "print(TrainiumAdapter().engine('nkisim').available)"
    )
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert ended.stdout.strip() == "True", ended.stderr
