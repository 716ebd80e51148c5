"""A job for the native runner that doubles numbers, and what it says about a kernel for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
from autocomp_mcp.hardware_adapters.nvidia.cuda.job import SAMPLES, Argument, Case, Job, Report, read_report
from cuda_without_gpu import build_kernel

N = 1000
ENTRY = 'extern "C" int launch(void** buffers, const int64_t* dims, cudaStream_t stream)'
DOUBLE = """
__global__ void twice(const float* a, float* b, int64_t n) {
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < n) b[i] = 2 * a[i];
}
"""
HONEST = (
    DOUBLE
    + ENTRY
    + """ {
    int64_t n = dims[0];
    twice<<<(n + 127) / 128, 128, 0, stream>>>((const float*)buffers[0], (float*)buffers[1], n);
    return cudaGetLastError();
}"""
)


def job(*programs: Path, mode: str = "time", trials: int = 6) -> Job:
    rng = np.random.default_rng(0)

    def case(name: str, n: int, timed: bool) -> Case:
        return Case(name, timed, (n,), (n, n), (rng.standard_normal(n).astype(np.float32),))

    cases = (case("odd", 37, False), *(case(f"full {i}", N, True) for i in range(3)))
    arguments = (Argument("a", False, "float32"), Argument("b", True, "float32"))
    picks = rng.integers(N, size=(trials * 2, 1, SAMPLES)) if mode == "time" else None
    return Job(mode, programs, arguments, cases, 4096, 1 << 16, 12345, picks, warmups=1, trials=trials, rounds=2)


def run(runner: Path, folder: Path, given: Job, **environment: str) -> Report:
    path = given.write(folder)
    finished = subprocess.run(
        [runner, path.name], cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    assert finished.returncode in (0, 3), finished.stderr
    return read_report(finished.stdout)


def wrong_samples(given: Job, folder: Path, report: Report) -> int:
    assert given.picks is not None
    calls = zip(report.of(0), given.sampled(folder), given.picks, strict=True)
    return sum(int((found["b"] != 2 * given.given(trial, 0, picked)).sum()) for trial, found, (picked,) in calls)


def judged(runner: Path, folder: Path, source: str, trials: int = 6) -> tuple[Job, Report]:
    given = job(build_kernel(source, folder), trials=trials)
    return given, run(runner, folder, given)
