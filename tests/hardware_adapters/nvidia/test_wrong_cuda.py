"""Kernels that are wrong, or that cheat, never pass; honest ones with words like theirs do."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import UNSUPPORTED, Evaluation
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.families import FAMILIES, operator_of
from autocomp_mcp.hardware_adapters.nvidia.operators import BASELINES
from autocomp_mcp.hardware_adapters.nvidia.screen import screen
from autocomp_mcp.hardware_adapters.store import Home

HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"
LAUNCH = 'extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {\n'
CALL = "(const float *)buffers[0], (float *)buffers[1]"
TILED = """\
__global__ void turn(const float *x, float *out, int R, int C) {
    __shared__ float tile[16][17];
    int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y;
    if (r < R && c < C) tile[threadIdx.y][threadIdx.x] = x[r * C + c];
    __syncthreads();
    c = blockIdx.x * 16 + threadIdx.y, r = blockIdx.y * 16 + threadIdx.x;
    if (r < R && c < C) out[c * R + r] = tile[threadIdx.x][threadIdx.y];
}
"""
TURN = f"""\
    int R = dims[0], C = dims[1];
    turn<<<dim3((C + 15) / 16, (R + 15) / 16), dim3(16, 16), 0, stream>>>({CALL}, R, C);
    return cudaGetLastError();
}}
"""
TRANSPOSE = HEAD + TILED + LAUNCH + TURN
SUMS = f"""\
__global__ void sums(const float *x, float *out, int R, int C) {{
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= C) return;
    float sum = 0.0f;
    for (int r = 0; r < R; r++) sum += x[r * C + c];
    out[c] = sum;
}}
{LAUNCH}    int R = dims[0], C = dims[1];
    sums<<<(C + 63) / 64, 64, 0, stream>>>({CALL}, R, C);
    return cudaGetLastError();
}}
"""
COLSUM = HEAD + SUMS


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[Path], Path]):
    adapter = NvidiaAdapter(Home(make_home(tmp_path_factory.mktemp("wrong") / "home")), path="/nonexistent")

    def run(problem: str, source: str) -> Evaluation:
        return anyio.run(lambda: adapter.evaluate(adapter.problem(f"nvidia/{problem}"), source, timeout_s=60))

    return run


def test_the_kernels_that_are_broken_below_are_right(evaluated) -> None:
    for problem, source in (("transpose-640x512", TRANSPOSE), ("colsum-700x512", COLSUM)):
        evaluation = evaluated(problem, source)
        assert evaluation.passed, evaluation.message
        assert evaluation.counters["registers_per_thread"] is None  # no nvcc was looked for


# What is changed, and the verdict with words of the message.
BROKEN = {
    "no barrier": ("    __syncthreads();\n", "", "crashed", "a missing __syncthreads?"),
    "barrier not for all": ("    __syncthreads();", "    if (threadIdx.y < 8) __syncthreads();", "crashed", "orders"),
    "no test of the edge": ("    if (r < R && c < C) out", "    out", "crashed", "no thread of the block has written"),
    "uninitialised tile": ("if (r < R && c < C) tile", "if (r < R && c < C && threadIdx.x) tile", "crashed", "uninit"),
    "tail left out": ("if (r < R && c < C) out", "if (r < R / 16 * 16 && c < C) out", "wrong_result", "never written"),
    "wrong place": ("out[c * R + r]", "out[c * R + (r ^ 1) % R]", "wrong_result", "elements"),
    "error returned": ("return cudaGetLastError();", "return cudaErrorUnknown;", "crashed", "reports an error"),
    "nothing launched": ("    turn<<<", "    if (R < 0) turn<<<", "rejected", "starts no kernel"),
    "input written": ("out[c * R + r] = ", "const_cast<float *>(x)[0] = ", "crashed", "read-only"),
    "syntax": ("tile[threadIdx.x][threadIdx.y];", "tile[threadIdx.x][threadIdx.y]", "compile_error", "line 9"),
    "nothing at the full shape": ("    turn<<<", "    if (R < 640) turn<<<", "rejected", "starts no kernel"),
    "half of it at the full shape": (
        "if (r < R && c < C) tile", "if (R == 640 && blockIdx.y > 9) return; if (r < R && c < C) tile",
        "wrong_result", "shape of",
    ),
    "wrong at the full shape": ("out[c * R + r] =", "out[c * R + r] = R == 640 ? 1 :", "wrong_result", "shape of"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_kernels_get_their_verdict(evaluated, what: str) -> None:
    old, new, verdict, words = BROKEN[what]
    assert TRANSPOSE.count(old) == 1
    evaluation = evaluated("transpose-640x512", TRANSPOSE.replace(old, new))
    assert evaluation.verdict == verdict and words in evaluation.message, evaluation.message
    if verdict == "crashed" and evaluation.fault is not None:
        assert evaluation.fault.line is not None and f"line {evaluation.fault.line}" in evaluation.message


def test_what_an_earlier_call_left_is_not_relied_on(evaluated) -> None:
    """The second call finds fresh buffers: a result kept in a global variable is found out."""
    kept = COLSUM.replace("__global__ void sums", "__device__ int calls;\n__global__ void sums").replace(
        "    out[c] = sum;", "    if (c == 0) calls++;\n    out[c] = calls > 1 ? 0.0f : sum;"
    )
    evaluation = evaluated("colsum-700x512", kept)
    assert evaluation.verdict in ("wrong_result", "crashed"), evaluation.message


def test_a_kernel_that_the_cpu_cannot_run_is_told_so_by_name(evaluated) -> None:
    source = COLSUM.replace("float sum = 0.0f;", 'float sum; asm("mov.f32 %0, 0f00000000;" : "=f"(sum));')
    evaluation = evaluated("colsum-700x512", source)
    assert evaluation.verdict == "rejected" and "PTX" in evaluation.message and "line 6" in evaluation.message
    assert evaluation.fault is not None and evaluation.fault.kind == UNSUPPORTED, "a device may be asked"
    refused = evaluated("colsum-700x512", COLSUM.replace("float sum = 0.0f;", 'float sum = 0.0f; system("id");'))
    assert refused.verdict == "rejected" and refused.fault is None


ATTACKS = {
    "allocation": "float *p; cudaMalloc(&p, 64);",
    "copy to the host": "float h; cudaMemcpy(&h, buffers[0], 4, cudaMemcpyDeviceToHost);",
    "another stream": "cudaStream_t other; cudaStreamCreate(&other);",
    "synchronisation": "cudaDeviceSynchronize();",
    "graph": "cudaGraph_t graph;",
    "events": "cudaEvent_t event; cudaEventCreate(&event);",
    "L2 persistence": "cudaCtxResetPersistingL2Cache();",
    "L2 window": "cudaStreamSetAttribute(stream, cudaStreamAttributeAccessPolicyWindow, nullptr);",
    "host function": "cudaLaunchHostFunc(stream, nullptr, nullptr);",
    "driver": "CUcontext c; cuCtxGetCurrent(&c);",
    "cublas": "cublasHandle_t h;",
    "thrust": "thrust::fill(nullptr, nullptr, 0);",
    "cub": "cub::DeviceReduce::Sum(0);",
    "file": 'int f = open("report.json", 1);',
    "file through the global name": "auto f = ::open;",
    "process": 'system("id");',
    "fork": "fork();",
    "thread": "std::thread t;",
    "dlopen": 'dlopen("libcublas.so", 1);',
    "environment": 'getenv("HOME");',
    "syscall": "syscall(1);",
    "exit": "exit(0);",
    "signal": "signal(11, nullptr);",
    "clock": "clock();",
    "device clock": "long long t = clock64();",
    "sleep": "__nanosleep(100);",
    "allocation on the heap": "float *p = new float[4];",
    "output": 'printf("passed");',
    "pasted name": "#define J(a, b) a##b\nJ(sys, tem)",
    "other include": "#include <unistd.h>",
    "include of a file of the host": '#include "/etc/passwd"',
    "declaration": 'extern "C" int open2(const char *, int);',
    "section": '__attribute__((section(".init_array"))) static int x;',
    "constructor": "__attribute__((constructor)) static void f() {}",
    "raw string": 'const char *t = R"(x)";',
    "digraph": "%:include <unistd.h>",
    "continued word": "sys\\\ntem(0);",
}


@pytest.mark.parametrize("what", ATTACKS)
def test_what_no_kernel_needs_is_refused_with_its_line(what: str) -> None:
    found = screen(f"{HEAD}\n{ATTACKS[what]}\n{SUMS}").refused
    assert found and found[0].line == 4, found


HONEST = {
    "names": "int thread = 1, read = 2, write = 3, time = 4, clock = 5, pipe = 6; float atEnd, free, at_row;",
    "comment": "// cudaMalloc, fork(), #include <unistd.h>",
    "text": 'static const char *const name = "system";',
    "lambda": "auto read = [](int i) { return i; };",
    "separator": "constexpr int many = 1'000'000; constexpr char c = 'x';",
    "pragma": "#pragma unroll 4",
    "macro of several lines": "#define MANY(x) \\\n    ((x) + 1)",
    "shared memory": "extern __shared__ float tile[];",
    "attributes": "struct __align__(16) A { float v[4]; }; __attribute__((aligned(16))) struct B { float v[4]; };",
    "kernel with C linkage": 'extern "C" __global__ void other(float *x) { x[0] = 1.0f; }',
    "device function with C linkage": 'extern "C" __device__ float twice(float x) { return 2 * x; }',
    "more shared memory": "cudaFuncSetAttribute(f, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536);",
    "zeroing": "cudaMemsetAsync(p, 0, 4, stream);",
    "member": "s.read(3); s.open(2);",
}


@pytest.mark.parametrize("what", HONEST)
def test_honest_text_is_not_refused(what: str) -> None:
    assert screen(f"{HEAD}\n{HONEST[what]}\n{SUMS}").refused == ()


def test_baselines_are_honest_and_have_an_entry() -> None:
    for family in FAMILIES:
        assert screen((BASELINES / f"{family}.cu").read_text()) == ((), ())
    assert screen(SUMS.replace("launch(", "solve(")).errors
    assert operator_of("nvidia/transpose-4x4").baseline().startswith("// transpose schedule: ")
