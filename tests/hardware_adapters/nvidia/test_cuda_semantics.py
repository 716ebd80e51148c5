"""What CUDA's built-in variables, functions and types mean, each against its definition."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

HEAD = "#include <cuda_runtime.h>\n#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n#include <stdint.h>\n"


def source(
    kernel: str, launch: str = "k<<<1, 32, 0, s>>>((const T*)p[0], (R*)p[1], (int)d[0]);", t="float", r="float"
) -> str:
    types = f"typedef {t} T;\ntypedef {r} R;\n"
    entry = 'extern "C" int launch(void** p, const int64_t* d, cudaStream_t s)'
    return f"{HEAD}{types}{kernel}\n{entry} {{\n  {launch}\n  return 0;\n}}\n"


def each(expression: str, *, t="float", r="float", before: str = "") -> str:
    """One thread per value: o[i] = expression of x, the i-th value, and of y, the one after it."""
    body = f"T x = a[i], y = a[(i + 1) % n]; {before} o[i] = {expression};"
    at = "int i = blockIdx.x * 64 + threadIdx.x;"
    kernel = f"__global__ void k(const T* a, R* o, int n) {{ {at} if (i < n) {{ {body} }} }}"
    return source(kernel, "k<<<(unsigned)((d[0] + 63) / 64), 64, 0, s>>>((const T*)p[0], (R*)p[1], (int)d[0]);", t, r)


def evaluate(run_cuda, expression: str, values: np.ndarray, dtype=None, **types) -> np.ndarray:
    kind = np.dtype(dtype or values.dtype).type
    ended = run_cuda(each(expression, **types), [values.size], {"a": values}, {"o": ((values.size,), kind)})
    assert ended.report.fault is None, ended.report.fault
    return ended.outputs["o"]


X = np.array([0.5, 1.0, 2.0, 3.25, 10.0, 0.125, 7.5, 1.75], np.float32)
Y = np.roll(X, -1)
FLOATS = {
    "__expf(x)": np.exp(X),
    "expf(x) + exp(x)": 2 * np.exp(X),
    "__logf(x)": np.log(X),
    "log2f(x)": np.log2(X),
    "__fdividef(x, y)": X / Y,
    "__frcp_rn(x)": 1 / X,
    "rsqrtf(x)": 1 / np.sqrt(X),
    "__fsqrt_rn(x)": np.sqrt(X),
    "fmaf(x, y, 1.0f)": X * Y + 1,
    "__fmaf_rn(x, y, x)": X * Y + X,
    "__fadd_rn(x, y) * __fmul_rn(x, y)": (X + Y) * (X * Y),
    "__powf(x, 2.0f)": X**2,
    "__sinf(x) + __cosf(x)": np.sin(X) + np.cos(X),
    "tanhf(x)": np.tanh(X),
    "erff(x)": np.array([0.5204999, 0.8427008, 0.9953223, 0.9999957, 1.0, 0.1403162, 1.0, 0.9866717]),
    "fminf(x, y) + fmaxf(x, y)": X + Y,
    "min(x, 2.0f) + max(x, 2.0f)": X + 2,
    "fabsf(-x)": X,
    "__saturatef(x)": np.clip(X, 0, 1),
    "floorf(x) + ceilf(x)": np.floor(X) + np.ceil(X),
    "(float)__float2int_rn(x)": np.rint(X),
    "(float)__float2int_rd(x) + (float)__float2int_rz(-x)": np.floor(X) - np.trunc(X),
    "__int_as_float(__float_as_int(x))": X,
    "x == y ? 0.0f : -INFINITY": np.full(8, -np.inf),
    "isnan(x) || isinf(x) ? 1.0f : x": X,
    "powf(x, y) > 1e30f ? 1.0f : 0.0f": np.zeros(8),
    "(float)(sqrt((double)x) * rsqrt((double)x))": np.ones(8),
}


@pytest.mark.parametrize("expression", FLOATS)
def test_functions_of_floats(expression, run_cuda):
    np.testing.assert_allclose(evaluate(run_cuda, expression, X), FLOATS[expression], rtol=1e-5)


U = np.array([0, 1, 0x80000000, 0xFFFFFFFF, 0x12345678, 0x00F0, 7, 0xDEADBEEF], np.uint32)
V = np.roll(U, -1)


def bits(values, f) -> np.ndarray:
    return np.array([f(int(v)) & 0xFFFFFFFF for v in values], np.uint32)


INTEGERS = {
    "__popc(x)": bits(U, lambda v: v.bit_count()),
    "__clz(x)": bits(U, lambda v: 32 - v.bit_length()),
    "__ffs(x)": bits(U, lambda v: (v & -v).bit_length()),
    "__brev(x)": bits(U, lambda v: int(f"{v:032b}"[::-1], 2)),
    "__umulhi(x, y)": np.array([int(a) * int(b) >> 32 for a, b in zip(U, V, strict=True)], np.uint32),
    "__byte_perm(x, y, 0x0123)": bits(U, lambda v: int.from_bytes(v.to_bytes(4, "little"), "big")),
    "__funnelshift_l(x, y, 8)": np.array(
        [(int(b) << 8 | int(a) >> 24) & 0xFFFFFFFF for a, b in zip(U, V, strict=True)]
    ),
    "__popcll((unsigned long long)x << 16)": bits(U, lambda v: v.bit_count()),
    "min(x, y) ^ max(x, y)": U ^ V,
    "__dp4a((int)x, 0x01010101, 5)": bits(U, lambda v: 5 + sum(b - 256 * (b > 127) for b in v.to_bytes(4, "little"))),
}


@pytest.mark.parametrize("expression", INTEGERS)
def test_functions_of_integers(expression, run_cuda):
    found = evaluate(run_cuda, expression, U, t="unsigned", r="unsigned")
    assert list(found) == list(INTEGERS[expression])


@pytest.mark.parametrize(
    ("type_", "dtype", "narrow", "widen"),
    [
        ("__half", np.float16, "__float2half(x)", "__half2float(x)"),
        ("__nv_bfloat16", ml_dtypes.bfloat16, "__float2bfloat16(x)", "__bfloat162float(x)"),
    ],
)
def test_all_16_bit_numbers(type_, dtype, narrow, widen, run_cuda):
    every = np.arange(65536, dtype=np.uint16).view(dtype)
    wide = evaluate(run_cuda, widen, every, np.float32, t=type_)
    np.testing.assert_array_equal(wide, every.astype(np.float32))
    rng = np.random.default_rng(3)
    floats = rng.integers(0, 1 << 32, 60000, dtype=np.uint32).view(np.float32)
    floats = np.concatenate(
        [floats, rng.normal(size=20000).astype(np.float32), rng.normal(0, 1e-6, 20000).astype(np.float32)]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        exact = floats.astype(dtype).astype(np.float32)
    found = evaluate(run_cuda, narrow, floats, np.uint16, r=type_).view(dtype).astype(np.float32)
    np.testing.assert_array_equal(found, exact)


def test_where_threads_are(run_cuda):
    kernel = """__global__ void k(const T* a, R* o, int n) {
  unsigned in = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  unsigned at = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  o[at * (blockDim.x * blockDim.y * blockDim.z) + in] = at * 1000 + in + (warpSize == 32);
}"""
    launch = "k<<<dim3(2, 3, 2), dim3(5, 2, 3), 0, s>>>((const T*)p[0], (R*)p[1], (int)d[0]);"
    ended = run_cuda(source(kernel, launch, r="int"), [1], {"a": X}, {"o": ((12, 30), np.int32)})
    assert np.array_equal(ended.outputs["o"], np.arange(12)[:, None] * 1000 + np.arange(30) + 1)


L = np.arange(32)
WARP = {
    "__shfl_sync(0xffffffff, x, 5)": np.full(32, 5),
    "__shfl_sync(0xffffffff, x, i + 1, 8)": L // 8 * 8 + (L + 1) % 8,
    "__shfl_up_sync(0xffffffff, x, 3)": np.where(L >= 3, L - 3, L),
    "__shfl_up_sync(0xffffffff, x, 3, 8)": np.where(L % 8 >= 3, L - 3, L),
    "__shfl_down_sync(0xffffffff, x, 3)": np.where(L + 3 < 32, L + 3, L),
    "__shfl_down_sync(0xffffffff, x, 3, 16)": np.where(L % 16 + 3 < 16, L + 3, L),
    "__shfl_xor_sync(0xffffffff, x, 5)": L ^ 5,
    "(int)(__ballot_sync(0xffffffff, x % 3 == 0) & 0x7fffffff)": np.full(32, sum(1 << v for v in range(0, 31, 3))),
    "__any_sync(0xffffffff, x == 31) * 10 + __all_sync(0xffffffff, x < 31)": np.full(32, 10),
    "__popc(__match_any_sync(0xffffffff, x / 5))": np.array([min(5, 32 - v // 5 * 5) for v in range(32)]),
    "__reduce_add_sync(0xffffffff, x)": np.full(32, 496),
    "__reduce_max_sync(0xffffffff, x) * 100 + __reduce_min_sync(0xffffffff, x + 1)": np.full(32, 3101),
    "(int)__shfl_xor_sync(0xffffffff, (double)x * 2.0, 1)": (L ^ 1) * 2,
    "(int)(__shfl_down_sync(0xffffffff, (long long)x << 33, 1) >> 33)": np.where(L < 31, L + 1, L),
}


@pytest.mark.parametrize("expression", WARP)
def test_warp_functions(expression, run_cuda):
    kernel = f"__global__ void k(const T* a, R* o, int n) {{ int i = threadIdx.x; T x = a[i]; o[i] = {expression}; }}"
    for order in (0, 1, 2):
        ended = run_cuda(
            source(kernel, t="int", r="int"), [32], {"a": L.astype(np.int32)}, {"o": ((32,), np.int32)}, order=order
        )
        assert ended.report.fault is None, ended.report.fault
        assert list(ended.outputs["o"]) == list(WARP[expression])


@pytest.mark.parametrize(
    ("call", "type_", "start", "end"),
    [
        ("atomicAdd(c, 3)", "int", 5, 5 + 96),
        ("atomicSub(c, 2)", "int", 5, 5 - 64),
        ("atomicAdd(c, 0.5f)", "float", 1, 17),
        ("atomicAdd(c, 0.25)", "double", 1, 9),
        ("atomicAdd(c, 1ull << 33)", "unsigned long long", 1, (32 << 33) + 1),
        ("atomicMin(c, (int)threadIdx.x - 40)", "int", 7, -40),
        ("atomicMax(c, threadIdx.x)", "unsigned", 3, 31),
        ("atomicAnd(c, ~(1u << threadIdx.x))", "unsigned", 0xFFFFFFFF, 0),
        ("atomicOr(c, 1u << threadIdx.x)", "unsigned", 0, 0xFFFFFFFF),
        ("atomicXor(c, 3u)", "unsigned", 5, 5),
        ("atomicInc(c, 9u)", "unsigned", 0, 2),
        ("atomicDec(c, 9u)", "unsigned", 0, 8),
        ("atomicCAS(c, 5, 50)", "int", 5, 50),
        ("atomicExch(c, 77)", "int", 5, 77),
    ],
)
def test_atomics(call, type_, start, end, run_cuda):
    """32 threads on one place; the old values that they get are all there was but the last."""
    dtype = {"int": np.int32, "unsigned": np.uint32, "float": np.float32, "double": np.float64}.get(type_, np.uint64)
    kernel = f"""__global__ void k(const T* a, R* o, int n) {{
  __shared__ T shared;
  T* c = n == 0 ? &shared : o + 32;
  if (threadIdx.x == 0) *c = a[0];
  __syncthreads();
  o[threadIdx.x] = {call};
  __syncthreads();
  if (threadIdx.x == 0) o[32] = *c;
}}"""
    text = source(kernel, t=type_, r=type_)
    for where in (0, 1):
        ended = run_cuda(text, [where], {"a": np.array([start], dtype)}, {"o": ((33,), dtype)}, order=2)
        assert ended.report.fault is None, ended.report.fault
        assert ended.outputs["o"][32] == end
        assert start in ended.outputs["o"][:32]


def test_barriers_that_count(run_cuda):
    kernel = """__global__ void k(const T* a, R* o, int n) {
  int i = threadIdx.x;
  int many = __syncthreads_count(i % 3 == 0), all = __syncthreads_and(i < 90), any = __syncthreads_or(i == 89);
  o[i] = many * 100 + all * 10 + any;
}"""
    launch = "k<<<1, 90, 0, s>>>((const T*)p[0], (R*)p[1], (int)d[0]);"
    ended = run_cuda(source(kernel, launch, r="int"), [1], {"a": X}, {"o": ((90,), np.int32)}, order=1)
    assert set(ended.outputs["o"]) == {3011}


def test_vectors(run_cuda):
    kernel = """__global__ void k(const T* a, R* o, int n) {
  float4 v = make_float4(1, 2, 3, 4), w = v;
  float2 u = {5, 6};
  int3 t = make_int3(7, 8, 9);
  uchar4 c = make_uchar4(1, 2, 3, 255);
  double2 e = make_double2(0.5, 0.25);
  w.x += u.y;
  float4 all[2] = {v, w};
  o[0] = all[1].x + all[0].w * 10 + t.z * 100 + c.w * 1000 + (float)e.y;
  o[1] = sizeof(float4) + sizeof(float3) * 100 + alignof(float2) * 10000;
  reinterpret_cast<float2*>(o)[1] = u;
  dim3 g(3);
  o[4] = g.x + g.y + g.z;
}"""
    launch = "k<<<1, 1, 0, s>>>((const T*)p[0], (R*)p[1], (int)d[0]);"
    ended = run_cuda(source(kernel, launch), [1], {"a": X}, {"o": (5,)})
    assert list(ended.outputs["o"]) == [7 + 40 + 900 + 255000 + 0.25, 16 + 1200 + 80000, 5, 6, 5]


def test_memory_is_set_and_copied_by_the_host(run_cuda):
    kernel = "__global__ void k(const T* a, R* o, int n) { atomicAdd(&o[threadIdx.x % 4], a[threadIdx.x % 8]); }"
    launch = """cudaMemsetAsync(p[1], 0, 16, s);
  cudaMemcpyAsync((char*)p[1] + 16, p[0], 16, cudaMemcpyDeviceToDevice, s);
  k<<<1, 32, 0, s>>>((const T*)p[0], (R*)p[1], (int)d[0]);"""
    ended = run_cuda(source(kernel, launch), [1], {"a": X}, {"o": (8,)})
    assert list(ended.outputs["o"]) == [*(4 * (X[:4] + X[4:])), *X[:4]]
    assert not ended.report.notes


def test_an_unchecked_build_computes_the_same(cuda_home, tmp_path):
    import anyio
    from autocomp_mcp.hardware_adapters.nvidia.cpusim.build import build
    from autocomp_mcp.hardware_adapters.nvidia.cpusim.emulate import Buffer, Job, emulate
    from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import rewrite

    text = each("x * y")
    built = anyio.run(lambda: build(cuda_home, rewrite(text), checked=False))
    assert built.program is not None
    X.tofile(tmp_path / "a")
    job = Job((8,), (Buffer("a", 32, "input", "a"), Buffer("o", 32, "output", "o")))
    report = anyio.run(emulate, built.program, job, tmp_path)
    assert report.fault is None
    assert np.array_equal(np.fromfile(tmp_path / "o", np.float32), X * Y)
