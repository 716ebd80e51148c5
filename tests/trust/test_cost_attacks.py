"""Kernels that do the same work as a plain one in a way that counters could overlook: the estimate is not lower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.store import Home

pytestmark = pytest.mark.trust
NO_GAIN = 0.97  # copies of one kernel differ by a launch or so
# Blocks are drawn until the estimate's standard error is below 3 %: by luck, more light ones are among them.
DRAWN, LUCK = "little work in the blocks that are counted", 0.88
HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"
LAUNCH = 'extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {\n'
GEMM = """    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
"""
ROWS = """    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
"""
PRODUCT = """__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= M * N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++) sum += A[i / N * K + k] * B[k * N + i % N];
    C[i] = sum;
}
"""
CALL = "    product<<<(M * N + 255) / 256, 256, 0, stream>>>(A, B, C, M, N, K);\n"
END = "    return cudaGetLastError();\n}\n"
PLAIN = HEAD + PRODUCT + LAUNCH + GEMM + CALL + END
SUMS = """__global__ void sums(const float *x, float *out, int R, int C) {
    int c = blockIdx.x * 32 + threadIdx.x;
    if (c >= C) return;
    float sum = 0.0f;
    for (int r = 0; r < R; r++) sum += x[r * C + c];
    out[c] = sum;
}
"""
ADDED = HEAD + SUMS + LAUNCH + ROWS + "    sums<<<(C + 31) / 32, 32, 0, stream>>>(x, out, R, C);\n" + END
VARIABLES = """__device__ float a[65536], b[65536];
__global__ void copy(const float *A, const float *B, int of_a, int of_b) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < of_a) a[i] = A[i];
    if (i < of_b) b[i] = B[i];
}
""" + PRODUCT.replace("A[i / N", "a[i / N").replace("B[k * N", "b[k * N")
MANY = """#define P x += p[0];
#define P4 P P P P
#define P64 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4 P4
#define P1024 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64 P64
#define P4096 P1024 P1024 P1024 P1024
""" + PRODUCT.replace("    float sum", "    float x = A[i % K], y = B[i % K];\n    C[i] = y;\n"
                      "    if (M == 256) { volatile const float *p = A; P4096 P4096 }\n"
                      "    float sum").replace("C[i] = sum", "C[i] = x == 1e30f ? x : sum")  # fmt: skip
LIGHT = SUMS.replace("int R, int C)", "int R, int C, int full)").replace("""    int c = blockIdx.x * 32 + threadIdx.x;
    if (c >= C) return;
""", """    int first = blockIdx.x, last = blockIdx.x, shown = 0;
    for (int i = 0; i < 12 && full; i++) {
        shown |= blockIdx.x == i * (gridDim.x - 1) / 11;
        if (blockIdx.x == i * (gridDim.x - 1) / 11 + 1) first--;
    }
    if (shown && x[blockIdx.x] < 1e30f) return;
  for (int part = first; part <= last; part++) {
    int c = part * 32 + threadIdx.x;
    if (c >= C) return;
""") + "}\n"  # fmt: skip
LANES = PRODUCT.replace(
    "int i = blockIdx.x * 256 + threadIdx.x;",
    "if (threadIdx.x % 32) return;\n    int i = blockIdx.x * 8 + threadIdx.x / 32;",
)
SINGLE = PRODUCT.replace("blockIdx.x * 256 + threadIdx.x", "blockIdx.x")
EXPONENTS = """__global__ void softmax(const float *x, float *out, int C) {
    float most = -1e30f, sum = 0.0f, unused;
    for (int c = threadIdx.x; c < C; c += 32) most = fmaxf(most, x[blockIdx.x * C + c]);
    for (int by = 16; by; by /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, by));
    for (int c = threadIdx.x; c < C; c += 32) sum += expf(x[blockIdx.x * C + c] - most);
    for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
    for (int c = threadIdx.x; c < C; c += 32) {
        float value = expf(x[blockIdx.x * C + c] - most) / sum;
        float *to = out + blockIdx.x * C + c;
        STORE;
    }
    unused = 0.0f;
}
"""
SOFTMAX = LAUNCH + ROWS + "    softmax<<<R, 32, 0, stream>>>(x, out, C);\n" + END


FILLS = "    for (int i = 0; i < 100; i++) cudaMemsetAsync(out, 0, C * 4, stream);\n"


class Pair(NamedTuple):
    """Two kernels for one problem; the second one is what an attacker makes of the first."""

    problem: str
    plain: str
    attack: str


PAIRS = {
    "operands in device variables": Pair(
        "sgemm-256x256x256", PLAIN,
        HEAD + VARIABLES + LAUNCH + GEMM
        + "    copy<<<((M > N ? M : N) * K + 255) / 256, 256, 0, stream>>>(A, B, M * K, K * N);\n" + CALL + END,
    ),
    "more places of access than there is room for": Pair(
        "sgemm-256x256x256", PLAIN, HEAD + MANY + LAUNCH + GEMM + CALL + END
    ),
    "little work in the blocks that are counted": Pair(
        "colsum-2048x8192", ADDED,
        HEAD + LIGHT + LAUNCH + ROWS + "    sums<<<(C + 31) / 32, 32, 0, stream>>>(x, out, R, C, C == 8192);\n" + END,
    ),
    "one lane of each warp": Pair(
        "sgemm-256x256x256", PLAIN,
        HEAD + LANES + LAUNCH + GEMM + CALL.replace("+ 255) / 256, 256", "+ 7) / 8, 256") + END,
    ),
    "blocks of one thread": Pair(
        "sgemm-256x256x256", PLAIN,
        HEAD + SINGLE + LAUNCH + GEMM + CALL.replace("(M * N + 255) / 256, 256", "M * N, 1") + END,
    ),
    "a hundred fills": Pair(
        "colsum-512x1024", ADDED,
        ADDED.replace("    sums<<<", FILLS + "    sums<<<"),
    ),
    "stores by functions of mathematics": Pair(
        "softmax-512x1024", HEAD + EXPONENTS.replace("STORE", "*to = sinf(asinf(value))") + SOFTMAX,
        HEAD + EXPONENTS.replace("STORE", "sincosf(asinf(value), to, &unused)") + SOFTMAX,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]):
    """The latency of a kernel that passes."""
    adapter = NvidiaAdapter(Home(make_home(tmp_path_factory.mktemp("cost") / "home")), path="/nonexistent")

    def of(problem: str, source: str) -> float:
        asked = adapter.problem(f"nvidia/{problem}")
        found = anyio.run(lambda: adapter.evaluate(asked, source, timeout_s=120))
        assert found.passed and found.latency is not None, found.message
        return found.latency.value

    return of


def test_no_attack_on_the_estimate_gains(estimated, score, how_many) -> None:
    gains = {}
    for name in list(PAIRS)[: how_many(3, len(PAIRS))]:
        pair = PAIRS[name]
        gains[name] = estimated(pair.problem, pair.attack) / estimated(pair.problem, pair.plain)
        score("attacks on the estimate that gain nothing, nvidia", gains[name] >= least(name))
    assert all(gain >= least(name) for name, gain in gains.items()), gains


def least(name: str) -> float:
    return LUCK if name == DRAWN else NO_GAIN


# What a file of the corpus cannot hold, for it is read with this system's line ends.
HIDDEN = {
    "behind a carriage return": '    // nothing here\r    asm volatile("syscall");\n',
    "cut by another system's line end": '#define X a\\\r\nsm volatile("syscall")\n    X;\n',
    "cut behind a form feed": '#define X a\\\f\nsm volatile("syscall")\n    X;\n',
    "behind a comment that goes on": '    // \\\n/*\n    asm volatile("syscall");\n    // */\n',
    "behind a quote in what is left out": '#if 0\n\' /*\n#endif\n    asm volatile("syscall");\n// */\n',
}


def test_assembly_is_found_wherever_a_compiler_finds_it(score) -> None:
    from autocomp_mcp.hardware_adapters.nvidia.screen import screen

    assert not screen(PLAIN).refused
    found = {name: bool(screen(PLAIN.replace(CALL, hidden + CALL)).refused) for name, hidden in HIDDEN.items()}
    score("attacks refused, nvidia", sum(found.values()), len(found))
    assert all(found.values()), found
