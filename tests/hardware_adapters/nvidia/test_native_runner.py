"""The native runner, built for a device of threads: it owns memory and clock, and finds out what goes on behind."""

from pathlib import Path

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure
from autocomp_mcp.hardware_adapters.nvidia.cuda import timing
from autocomp_mcp.hardware_adapters.nvidia.cuda.job import read_report
from cuda_without_gpu import build_kernel, build_runner
from native_job import HONEST, N, job, judged, run, wrong_samples


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_runner(tmp_path_factory.mktemp("runner"))


def test_an_honest_kernel_is_checked_timed_and_sampled(runner: Path, tmp_path: Path) -> None:
    given, report = judged(runner, tmp_path, HONEST)
    assert report.fault is None and report.ended and report.checked == len(given.cases)
    assert report.device["multiprocessors"] == 142 and len(report.trials) == 12 and len(report.empty) == 20
    for number, case in enumerate(given.cases):
        assert np.array_equal(given.outputs(tmp_path, number)["b"], 2 * case.inputs[0])
    assert wrong_samples(given, tmp_path, report) == 0
    everything = np.arange(N)
    inputs = [given.given(trial, 0, everything) for trial in report.trials]
    assert all(values.size == N for values in inputs)  # what is timed has the full shape
    assert len({values.tobytes() for values in inputs}) == len(inputs), "no two timed calls are given the same"
    spread = timing.latency(report)
    assert 0 < spread.low <= spread.median <= spread.high


def test_two_kernels_take_turns(runner: Path, tmp_path: Path) -> None:
    slow = HONEST.replace("b[i] = 2 * a[i]", "for (int k = 0; k < 300; k++) ((volatile float*)b)[i] = 2 * a[i]")
    given = job(build_kernel(HONEST, tmp_path), build_kernel(slow, tmp_path, "slow"), trials=20)
    report = run(runner, tmp_path, given)
    assert len(report.of(0)) == len(report.of(1)) == 40
    turns = [trial.program for trial in report.trials]
    assert turns[:4] == [0, 1, 0, 1] and turns[-4:] == [1, 0, 1, 0]
    ratio = timing.against(report)
    assert ratio is not None and ratio.median > 1 and ratio.certain


def test_profile_marks_one_call(runner: Path, tmp_path: Path) -> None:
    given = job(build_kernel(HONEST, tmp_path), mode="profile")
    report = run(runner, tmp_path, given, FAKE_CUDA_NOTES=str(tmp_path / "notes"))
    assert report.ended and not report.trials
    assert (tmp_path / "notes").read_text().split() == ["start", "stop"]


FAULTS = {
    "out_of_bounds": HONEST.replace("(float*)buffers[1], n)", "(float*)buffers[1], n + 1)"),
    "input_written": HONEST.replace("b[i] = 2 * a[i];", "b[i] = 2 * a[i], ((float*)a)[i] = 0;"),
    "launch_failed": HONEST.replace("return cudaGetLastError()", "return 1"),
    "cudaErrorInvalidValue": HONEST.replace("128, 0, stream", "2048, 0, stream").replace("cudaGetLastError()", "0"),
    "no_entry": HONEST.replace("int launch(", "int start("),
    "threads": "#include <thread>\n#include <chrono>\n"
    + HONEST.replace(
        "int64_t n = dims[0];",
        "int64_t n = dims[0]; std::thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); }).detach();",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_of_the_kernel_are_told(runner: Path, tmp_path: Path, kind: str) -> None:
    _, report = judged(runner, tmp_path, FAULTS[kind])
    assert report.fault is not None and report.fault[0] == kind, report


def test_work_on_another_stream_does_not_escape_the_clock(runner: Path, tmp_path: Path) -> None:
    # Device time that does not depend on who else wants this machine's processors.
    busy = "#include <chrono>\n#include <thread>\n" + HONEST.replace(
        "if (i < n)", "if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));\n    if (i < n)"
    )
    _, honest = judged(runner, tmp_path, busy, trials=15)
    stream = "static cudaStream_t mine; if (!mine) cudaStreamCreateWithFlags(&mine, cudaStreamNonBlocking);\n    "
    hidden = busy.replace("int64_t n = dims[0];", stream + "int64_t n = dims[0];").replace("0, stream>>>", "0, mine>>>")
    _, report = judged(runner, tmp_path, hidden, trials=15)
    assert timing.hidden_work(honest) is None
    said = timing.hidden_work(report)
    assert said is not None and "enqueue all work" in said


OTHER = "static cudaStream_t other; if (!other) cudaStreamCreate(&other); int64_t n = dims[0];"


@pytest.mark.parametrize("stream", ["128", "128, 0, other"])
def test_work_on_every_stream_that_can_be_named_is_timed(runner: Path, tmp_path: Path, stream: str) -> None:
    source = "#include <chrono>\n#include <thread>\n" + HONEST.replace(
        "if (i < n)", "if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));\n    if (i < n)"
    ).replace("128, 0, stream", stream).replace("int64_t n = dims[0];", OTHER)  # fmt: skip
    given, report = judged(runner, tmp_path, source)
    assert timing.latency(report).low >= 2e6 and wrong_samples(given, tmp_path, report) == 0


CACHED = {
    "by pointer": "static void* seen[64]; static int count; for (int i = 0; i < count; i++) if (seen[i] == buffers[0]) "
    "return 0; if (count < 64) seen[count++] = buffers[0];",
    "by shape": "static int64_t done; if (done == dims[0]) return 0; done = dims[0];",
    "after the first calls": "static int calls; if (++calls > 6) return 0;",
}


@pytest.mark.parametrize("how", CACHED)
def test_results_of_earlier_calls_are_no_results(runner: Path, tmp_path: Path, how: str) -> None:
    given, report = judged(
        runner, tmp_path, HONEST.replace("int64_t n = dims[0];", CACHED[how] + " int64_t n = dims[0];")
    )
    first_calls = [given.outputs(tmp_path, n)["b"] for n in range(report.checked)]
    right = all(np.array_equal(got, 2 * case.inputs[0]) for got, case in zip(first_calls, given.cases, strict=False))
    assert not right or wrong_samples(given, tmp_path, report) > 0


def test_a_kernel_cannot_speak_for_the_runner(runner: Path, tmp_path: Path) -> None:
    loud = '#include <cstdio>\n' + HONEST.replace(
        "int64_t n = dims[0];", 'std::puts("{\\"type\\": \\"end\\"}"); std::fflush(stdout); int64_t n = dims[0];'
    )  # fmt: skip
    given, report = judged(runner, tmp_path, loud)
    assert report.ended and len(report.trials) == 12 and wrong_samples(given, tmp_path, report) == 0
    _, early = judged(
        runner, tmp_path, "#include <cstdlib>\n" + HONEST.replace("int64_t n =", "std::_Exit(0); int64_t n =")
    )
    assert not early.ended and early.checked == 0


def test_threads_are_counted_where_it_is_timed(runner: Path, tmp_path: Path) -> None:
    given = job(build_kernel(FAULTS["threads"], tmp_path), mode="profile")
    report = run(runner, tmp_path, given)  # a profiler has threads of its own
    assert report.fault is None and report.ended


def test_a_cache_that_keeps_no_lines_is_no_error_of_the_kernel(runner: Path, tmp_path: Path) -> None:
    given = job(build_kernel(HONEST, tmp_path))
    report = run(runner, tmp_path, given, FAKE_CUDA_NO_PERSISTING="1")
    assert report.fault is None and len(report.trials) == 12


def test_a_machine_without_a_device_says_so(runner: Path, tmp_path: Path) -> None:
    given = job(build_kernel(HONEST, tmp_path))
    with pytest.raises(EngineFailure, match="looking for a device: cudaErrorNoDevice"):
        run(runner, tmp_path, given, FAKE_CUDA_NONE="1")


@pytest.mark.parametrize("line", ["not json", "[]", '{"type": "trial"}', '{"type": "new"}', '{"kind": 1}'])
def test_a_report_that_is_none_is_the_engines_failure(line: str) -> None:
    with pytest.raises(EngineFailure, match="cannot be read"):
        read_report(line)
