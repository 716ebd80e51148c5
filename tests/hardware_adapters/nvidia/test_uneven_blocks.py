"""Blocks that do not all have the same work: as many are drawn as the estimate needs, or it says how far it is off."""

import re
from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.base import Evaluation
from autocomp_mcp.hardware_adapters.nvidia import embedded
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.counts import LaunchCounts
from autocomp_mcp.hardware_adapters.nvidia.judge import POISON
from autocomp_mcp.hardware_adapters.nvidia.spots import by_the_draw, share
from autocomp_mcp.hardware_adapters.nvidia.uncertainty import AMOUNTS
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


TRANSPOSE = """#include <cuda_runtime.h>
#include <stdint.h>
__global__ void transpose(const float *x, float *out, int R, int C) {
    int r = blockIdx.x * 32 + threadIdx.x;
    if (R * C > 62000 && threadIdx.y >= PART) return;
    for (int c = blockIdx.y * 32 + threadIdx.y; c < min(C, int(blockIdx.y + 1) * 32); c += 8)
        if (r < R) out[c * R + r] = x[r * C + c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    dim3 grid((dims[0] + 31) / 32, (dims[1] + 31) / 32);
    transpose<<<grid, dim3(32, 8), 0, stream>>>((const float *)buffers[0], (float *)buffers[1], dims[0], dims[1]);
    return cudaGetLastError();
}
"""


@pytest.fixture
def transposed(tmp_path: Path, make_home: Callable[[Path], Path]):
    adapter = NvidiaAdapter(Home(make_home(tmp_path / "home")), path="/nonexistent")

    def run(part: int) -> Evaluation:
        problem, source = adapter.problem("nvidia/transpose-249x249"), TRANSPOSE.replace("PART", str(part))
        return anyio.run(lambda: adapter.evaluate(problem, source, seed=2, timeout_s=300))

    return run


@pytest.mark.parametrize("unchecked_s", [60.0, 0.0])
def test_what_each_block_leaves_out_is_found(unchecked_s: float, transposed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "UNCHECKED_S", unchecked_s)
    found = transposed(7)  # of eighths
    assert found.verdict == "wrong_result" and "never written" in found.message, found.message


def test_partial_tiles_are_told_from_what_is_left_out(transposed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert transposed(8).passed
    monkeypatch.setattr(embedded, "UNCHECKED_S", 0.0)
    monkeypatch.setattr(embedded, "EVEN_SHARE", 2.0)  # whatever was drawn
    found = transposed(8)
    assert found.passed and "that the others write the rest is not known" in found.message, found.message


@pytest.mark.parametrize(
    ("written", "differ", "explained"),
    [(0.97, 0.02, True), (0.97, 0.0, False), (0.6, 0.02, False), (0.4, 1.0, False)],
)
def test_a_share_that_lacks_is_explained_by_the_draw_or_not(written: float, differ: float, explained: bool) -> None:
    matrix = [[0.0] * len(AMOUNTS) for _ in AMOUNTS]
    matrix[AMOUNTS.index("written sectors")][AMOUNTS.index("written sectors")] = differ**2
    launch = LaunchCounts(
        kernel="k", line=1, grid=(100, 1, 1), block=(32, 1, 1), static_shared=0, dynamic_shared=0, blocks_run=10,
        barriers=0, block_read_sectors=0, block_write_sectors=0, unique_read_sectors=0, unique_write_sectors=0,
        operand_sectors=0, sites=(), covariance=tuple(map(tuple, matrix)),
    )  # fmt: skip
    values = np.full(1000, POISON, np.uint32).view(np.float32)
    values[: round(100 * written)] = 1.0
    assert share([launch], {"out": values}) == pytest.approx(written)
    assert by_the_draw([launch], written) == explained
