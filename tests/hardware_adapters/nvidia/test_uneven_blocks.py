"""Blocks that do not all have the same work: as many are drawn as the estimate needs, or it says how far it is off."""

import re
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.nvidia import embedded
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.store import Home

PROBLEM = "nvidia/cumsum-256x512"
SOURCE = """#include <cuda_runtime.h>
#include <stdint.h>
__global__ void sums(const float *x, float *out, int C) {
    int r = blockIdx.y, c = blockIdx.x * 32 + threadIdx.x;
    if (c >= C) return;
    float sum = 0.0f;
    for (int turn = 0; turn < TURNS; turn++) {
        sum = 0.0f;
        for (int k = 0; k <= LAST; k++) sum += k <= c ? ((volatile const float *)x)[r * C + k] : 0.0f;
    }
    out[r * C + c] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    const float *x = (const float *)buffers[0];
    sums<<<dim3((dims[1] + 31) / 32, dims[0]), 32, 0, stream>>>(x, (float *)buffers[1], dims[1]);
    return cudaGetLastError();
}
"""
KERNELS = {
    "a triangle": SOURCE.replace("TURNS", "1").replace("LAST", "c"),
    "every fourth row eight times": SOURCE.replace("TURNS", "(r % 4 ? 1 : 8)").replace("LAST", "c"),
}


@pytest.fixture
def evaluated(tmp_path: Path, make_home: Callable[[Path], Path]):
    adapter = NvidiaAdapter(Home(make_home(tmp_path / "home")), path="/nonexistent")

    def run(source: str, seed: int) -> tuple[Evaluation, float]:
        found = anyio.run(lambda: adapter.evaluate(adapter.problem(PROBLEM), source, seed=seed, timeout_s=300))
        assert found.passed and found.latency is not None, found.message
        return found, found.latency.value

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_the_draw_of_the_blocks_hardly_matters(name: str, evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as everything:
        everything.setattr(embedded, "MOST_BLOCKS", 1 << 20)
        everything.setattr(embedded, "COUNTING_S", 0.0)
        found, truth = evaluated(KERNELS[name], 0)
        assert "blocks, drawn" not in found.latency.statistic
    monkeypatch.setattr(embedded, "UNEVEN_S", 60.0)
    for seed in (1, 2, 3):
        found, latency = evaluated(KERNELS[name], seed)
        told = re.search(r"counted in (\d+) of 4096 blocks, drawn: standard error (\d\.\d) %", found.latency.statistic)
        assert (int(told[1]) > 48 and float(told[2]) <= 3.0) if told else "blocks" not in found.latency.statistic
        assert latency == pytest.approx(truth, rel=0.12), "four standard errors"


@pytest.mark.slow
def test_without_time_the_uncertainty_is_told(evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "UNEVEN_S", 0.0)
    found, _ = evaluated(KERNELS["every fourth row eight times"], 1)
    told = re.search(r"counted in (\d+) of 4096 blocks, drawn: standard error (\d+)\.\d %", found.latency.statistic)
    assert told and int(told[1]) <= 48 and int(told[2]) > 3


def test_blocks_that_are_alike_are_said_to_be(evaluated) -> None:
    found, _ = evaluated(SOURCE.replace("TURNS", "1").replace("LAST", "C - 1"), 1)
    assert re.search(r"counted in \d+ of 4096 blocks, drawn", found.latency.statistic)
