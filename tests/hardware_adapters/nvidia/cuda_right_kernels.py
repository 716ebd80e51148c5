"""Correct kernels of many kinds, for the tests: each real CUDA, with what it must compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"


class Right(NamedTuple):
    source: str
    dims: tuple[int, ...]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, tuple[Any, ...]]
    expected: Callable[[], dict[str, np.ndarray]]


def _launch(call: str) -> str:
    head = 'extern "C" int launch(void** p, const int64_t* d, cudaStream_t s)'
    return f"{head} {{\n{call}\n  return cudaGetLastError();\n}}\n"


_rng = np.random.default_rng(7)


def _floats(*shape: int) -> np.ndarray:
    return _rng.uniform(-1, 1, shape).astype(np.float32)


def _one(
    kernel: str, call: str, a: np.ndarray, out: tuple[Any, ...], f: Callable[[np.ndarray], np.ndarray], *dims: int
) -> Right:
    return Right(HEAD + kernel + _launch(call), dims or a.shape, {"a": a}, {"o": out}, lambda: {"o": f(a)})


RIGHT: dict[str, Right] = {}

RIGHT["reduction with shuffles"] = _one(
    """
__global__ void k(const float* __restrict__ a, float* __restrict__ o, int n) {
  __shared__ float part[32];
  float v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) v += a[i];
  for (int by = 16; by > 0; by >>= 1) v += __shfl_down_sync(0xffffffffu, v, by);
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  if (lane == 0) part[warp] = v;
  __syncthreads();
  if (warp == 0) {
    v = lane < (int)(blockDim.x >> 5) ? part[lane] : 0.0f;
    for (int by = 16; by > 0; by >>= 1) v += __shfl_down_sync(0xffffffffu, v, by);
    if (lane == 0) o[0] = v;
  }
}
""",
    "  k<<<1, 256, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(1001),
    (1,),
    lambda a: np.array([a.astype(np.float64).sum()]),
)

RIGHT["histogram with atomics"] = _one(
    """
__global__ void clear(int* o, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) o[i] = 0;
}
__global__ void k(const int* a, int* o, int n) {
  __shared__ int bins[16];
  if (threadIdx.x < 16) bins[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[a[i]], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&o[threadIdx.x], bins[threadIdx.x]);
}
""",
    """  clear<<<1, 32, 0, s>>>((int*)p[1], 16);
  k<<<3, 96, 0, s>>>((const int*)p[0], (int*)p[1], (int)d[0]);""",
    _rng.integers(0, 16, 1000).astype(np.int32),
    ((16,), np.int32),
    lambda a: np.bincount(a, minlength=16),
)

RIGHT["scan in shared memory"] = _one(
    """
__global__ void k(const float* a, float* o, int n) {
  extern __shared__ float t[];
  int i = threadIdx.x, from = 0;
  t[i] = i < n ? a[i] : 0.0f;
  __syncthreads();
  for (int by = 1; by < blockDim.x; by *= 2) {
    int to = 1 - from;
    float v = t[from * blockDim.x + i];
    if (i >= by) v += t[from * blockDim.x + i - by];
    t[to * blockDim.x + i] = v;
    from = to;
    __syncthreads();
  }
  if (i < n) o[i] = t[from * blockDim.x + i];
}
""",
    "  k<<<1, 128, 2 * 128 * sizeof(float), s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(117),
    (117,),
    lambda a: a.astype(np.float64).cumsum(),
)

RIGHT["transpose through a padded tile"] = _one(
    """
template <int T, int R>
__global__ void __launch_bounds__(T * R) k(const float* a, float* o, int h, int w) {
  __shared__ float tile[T][T + 1];
  int x = blockIdx.x * T + threadIdx.x, y = blockIdx.y * T + threadIdx.y;
  for (int j = 0; j < T; j += R) if (x < w && y + j < h) tile[threadIdx.y + j][threadIdx.x] = a[(y + j) * w + x];
  __syncthreads();
  x = blockIdx.y * T + threadIdx.x;
  y = blockIdx.x * T + threadIdx.y;
  for (int j = 0; j < T; j += R) if (x < h && y + j < w) o[(y + j) * h + x] = tile[threadIdx.x][threadIdx.y + j];
}
""",
    """  const int h = d[0], w = d[1];
  k<32, 8><<<dim3((w + 31) / 32, (h + 31) / 32), dim3(32, 8), 0, s>>>(
      (const float*)p[0],
      (float*)p[1], h, w);""",
    _floats(45, 70),
    (70, 45),
    lambda a: a.T,
)

RIGHT["SGEMM tiled in registers with float4"] = Right(
    HEAD
    + """
#define BM 32
#define BN 32
#define BK 8
__global__ void k(const float* __restrict__ A, const float* __restrict__ B, float* __restrict__ C,
                  int M, int N, int K) {
  __shared__ __align__(16) float As[BK][BM], Bs[BK][BN];
  const int t = threadIdx.x, tr = t / 8, tc = t % 8, row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
  float acc[4][4] = {};
  for (int k0 = 0; k0 < K; k0 += BK) {
    const int ar = t / 2, ac = t % 2 * 4, br = t / 8, bc = t % 8 * 4;
    float4 a = *reinterpret_cast<const float4*>(&A[(row0 + ar) * K + k0 + ac]);
    As[ac + 0][ar] = a.x;
    As[ac + 1][ar] = a.y;
    As[ac + 2][ar] = a.z;
    As[ac + 3][ar] = a.w;
    *reinterpret_cast<float4*>(&Bs[br][bc]) = *reinterpret_cast<const float4*>(&B[(k0 + br) * N + col0 + bc]);
    __syncthreads();
#pragma unroll
    for (int kk = 0; kk < BK; ++kk) {
      float4 x = *reinterpret_cast<const float4*>(&As[kk][tr * 4]);
      float4 y = *reinterpret_cast<const float4*>(&Bs[kk][tc * 4]);
      const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
      for (int i = 0; i < 4; ++i) for (int j = 0; j < 4; ++j) acc[i][j] = fmaf(xs[i], ys[j], acc[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i)
    *reinterpret_cast<float4*>(&C[(row0 + tr * 4 + i) * N + col0 + tc * 4]) =
        make_float4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
}
"""
    + _launch("""  int M = d[0], N = d[1], K = d[2];
  dim3 grid(N / BN, M / BM);
  k<<<grid, 64, 0, s>>>((const float*)p[0], (const float*)p[1], (float*)p[2], M, N, K);"""),
    (64, 32, 24),
    {"A": _floats(64, 24), "B": _floats(24, 32)},
    {"C": (64, 32)},
    lambda: {
        "C": RIGHT["SGEMM tiled in registers with float4"].inputs["A"]
        @ RIGHT["SGEMM tiled in registers with float4"].inputs["B"]
    },
)

RIGHT["double-buffered tiles"] = _one(
    """
__global__ void k(const float* a, float* o, int n) {
  __shared__ float t[2][64];
  int i = threadIdx.x, now = 0;
  float sum = 0;
  t[0][i] = i < n ? a[i] : 0;
  for (int at = 64; at < n + 64; at += 64) {
    __syncthreads();
    if (at < n) t[now ^ 1][i] = at + i < n ? a[at + i] : 0;
    sum += t[now][63 - i] * t[now][i];
    now ^= 1;
  }
  o[i] = sum;
}
""",
    "  k<<<1, 64, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(300),
    (64,),
    lambda a: (lambda t: (t * t[:, ::-1]).sum(0))(np.pad(a, (0, 20)).reshape(5, 64).astype(np.float64)),
)

RIGHT["grid-stride loop"] = _one(
    """
__global__ void k(const float* a, float* o, int n, float scale) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) o[i] = scale * a[i];
}
""",
    "  k<<<3, 100, 0, s>>>((const float*)p[0], (float*)p[1], d[0], 2.5);",
    _floats(1003),
    (1003,),
    lambda a: 2.5 * a,
)

RIGHT["online softmax, a warp per row"] = _one(
    """
__device__ __forceinline__ float warp_max(float v) {
  for (int by = 16; by; by /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffff, v, by));
  return v;
}
__global__ void k(const float* a, float* o, int rows, int cols) {
  int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= rows) return;
  const float* r = a + (size_t)row * cols;
  float m = -INFINITY, sum = 0.0f;
  for (int c = threadIdx.x; c < cols; c += 32) {
    float v = r[c], next = fmaxf(m, v);
    sum = sum * __expf(m - next) + __expf(v - next);
    m = next;
  }
  float all = warp_max(m);
  sum *= m == -INFINITY ? 0.0f : __expf(m - all);
  for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(0xffffffff, sum, by);
  for (int c = threadIdx.x; c < cols; c += 32) o[(size_t)row * cols + c] = __expf(r[c] - all) / sum;
}
""",
    "  k<<<(unsigned)((d[0] + 3) / 4), dim3(32, 4), 0, s>>>((const float*)p[0], (float*)p[1], d[0], d[1]);",
    _floats(7, 45),
    (7, 45),
    lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True),
)

RIGHT["last block adds the partial sums"] = _one(
    """
__device__ unsigned done;
__global__ void k(const float* a, float* o, float* part, int n) {
  __shared__ float t[64];
  __shared__ bool last;
  int i = blockIdx.x * 64 + threadIdx.x;
  t[threadIdx.x] = i < n ? a[i] : 0;
  for (int by = 32; by; by /= 2) {
    __syncthreads();
    if (threadIdx.x < by) t[threadIdx.x] += t[threadIdx.x + by];
  }
  if (threadIdx.x == 0) {
    part[blockIdx.x] = t[0];
    __threadfence();
    last = atomicInc(&done, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float sum = 0;
    for (unsigned b = 0; b < gridDim.x; b++) sum += part[b];
    o[0] = sum;
  }
}
""",
    "  k<<<(int)((d[0] + 63) / 64), 64, 0, s>>>((const float*)p[0], (float*)p[1], (float*)p[2], (int)d[0]);",
    _floats(500),
    (1,),
    lambda a: np.array([a.astype(np.float64).sum()]),
)

RIGHT["two kernels through the scratch area"] = _one(
    """
__global__ void square(const float* a, float* t, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) t[i] = a[i] * a[i];
}
__global__ void shift(const float* t, float* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) o[i] = t[(i + 1) % n];
}
#define RUN(k, from, to) k<<<(n + 127) / 128, 128, 0, s>>>((const float*)(from), (float*)(to), n)
""",
    "  int n = d[0];\n  RUN(square, p[0], p[2]);\n  RUN(shift, p[2], p[1]);",
    _floats(333),
    (333,),
    lambda a: np.roll(a * a, -1),
)

RIGHT["constant and device variables"] = _one(
    """
__constant__ float weights[4];
__device__ const float more[4] = {1.0f, 0.5f, 0.25f, 0.125f};
__global__ void k(const float* a, float* o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n - 3) { if (i < n) o[i] = 0; return; }
  float sum = 0;
  for (int j = 0; j < 4; j++) sum += a[i + j] * weights[j] * more[j];
  o[i] = sum;
}
""",
    """  cudaMemcpyToSymbolAsync(weights, p[0], 4 * sizeof(float), 0, cudaMemcpyDeviceToDevice, s);
  k<<<2, 64, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);""",
    _floats(100),
    (100,),
    lambda a: np.array([sum(a[i + j] * a[j] * 0.5**j for j in range(4)) if i < 97 else 0 for i in range(100)]),
)

RIGHT["lock between threads of different warps"] = _one(
    """
__global__ void k(const float* a, float* o, int n) {
  __shared__ int lock;
  __shared__ float sum;
  if (threadIdx.x == 0) { lock = 0; sum = 0; }
  __syncthreads();
  if (threadIdx.x % 32 == 0) {
    while (atomicCAS(&lock, 0, 1) != 0) { }
    float seen = atomicAdd(&sum, 0.0f);
    atomicExch(&sum, seen + a[threadIdx.x / 32]);
    atomicExch(&lock, 0);
  }
  __syncthreads();
  if (threadIdx.x == 0) o[0] = sum;
}
""",
    "  k<<<1, 256, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(8),
    (1,),
    lambda a: np.array([a.sum()]),
)

RIGHT["cooperative groups"] = _one(
    """
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
__global__ void k(const float* a, float* o, int n) {
  auto block = cg::this_thread_block();
  auto tile = cg::tiled_partition<16>(block);
  int i = blockIdx.x * blockDim.x + block.thread_rank();
  float v = i < n ? a[i] : 0.0f;
  v = cg::reduce(tile, v, cg::plus<float>());
  block.sync();
  if (tile.thread_rank() == 0) o[i / 16] = v;
}
""",
    "  k<<<2, 64, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(128),
    (8,),
    lambda a: a.reshape(8, 16).sum(1),
)

RIGHT["half precision"] = _one(
    """
#include <cuda_fp16.h>
__global__ void k(const __half2* a, __half* o, int n) {
  __shared__ __half t[128];
  int i = threadIdx.x;
  __half2 v = __hadd2(a[i], __float2half2_rn(1.0f));
  t[2 * i] = __low2half(v);
  t[2 * i + 1] = __high2half(v);
  __syncthreads();
  o[i] = __hmul(t[i], t[127 - i]);
  o[i + 64] = __float2half(__half2float(t[i + 64]) * 2.0f);
}
""",
    "  k<<<1, 64, 0, s>>>((const __half2*)p[0], (__half*)p[1], (int)d[0]);",
    _floats(128).astype(np.float16),
    ((128,), np.float16),
    lambda a: (lambda t: np.concatenate([t[:64] * t[::-1][:64], t[64:] * np.float16(2)]))(a + np.float16(1)),
)

RIGHT["warp votes and active lanes"] = _one(
    """
__global__ void k(const float* a, int* o, int n) {
  int i = threadIdx.x;
  unsigned positive = __ballot_sync(0xffffffff, a[i] > 0);
  int rank = __popc(positive & ((1u << (i & 31)) - 1));
  int found = 0;
  if (a[i] > 0) {
    unsigned mask = __activemask();
    found = __popc(mask) + __any_sync(mask, rank == 0) * 100;
  }
  o[i] = found + 1000 * rank + (__all_sync(0xffffffff, i < 1000) ? 100000 : 0);
}
""",
    "  k<<<1, 64, 0, s>>>((const float*)p[0], (int*)p[1], (int)d[0]);",
    _floats(64),
    ((64,), np.int32),
    lambda a: np.concatenate(
        [
            (lambda g: (g > 0) * ((g > 0).sum() + 100) + 1000 * (np.cumsum(g > 0) - (g > 0)) + 100000)(a[w : w + 32])
            for w in (0, 32)
        ]
    ),
)

RIGHT["opted-in dynamic shared memory of two types"] = _one(
    """
template <typename T> __global__ void k(const T* a, T* o, int n) {
  extern __shared__ __align__(16) unsigned char raw[];
  T* values = reinterpret_cast<T*>(raw);
  int* places = reinterpret_cast<int*>(raw + 15000 * sizeof(T));
  for (int i = threadIdx.x; i < n; i += blockDim.x) { values[i] = a[i]; places[i] = n - 1 - i; }
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x) o[i] = values[places[i]];
}
""",
    """  size_t bytes = 15000 * sizeof(float) + 1000 * sizeof(int);
  cudaFuncSetAttribute(k<float>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
  k<float><<<1, 128, bytes, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);""",
    _floats(200),
    (200,),
    lambda a: a[::-1],
)

RIGHT["dynamic shared memory declared outside"] = _one(
    """
extern __shared__ float tile[];
__global__ void k(const float* a, float* o, int n) {
  float4* wide = (float4*)tile;
  if (threadIdx.x < 32) wide[threadIdx.x] = reinterpret_cast<const float4*>(a)[threadIdx.x];
  __syncthreads();
  float* half = tile + 64;
  o[threadIdx.x] = tile[threadIdx.x] + (threadIdx.x < 64 ? half[threadIdx.x] : 0.0f);
}
""",
    "  k<<<1, 128, 512, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(128),
    (128,),
    lambda a: a + np.pad(a[64:], (0, 64)),
)

RIGHT["a tile filled by flat index"] = _one(
    """
__global__ void k(const float* a, float* o, int n) {
  __shared__ float t[8][16];
  t[0][threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  o[threadIdx.x] = t[threadIdx.x % 8][threadIdx.x / 8];
}
""",
    "  k<<<1, 128, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);",
    _floats(128),
    (128,),
    lambda a: a.reshape(8, 16).T.ravel(),
)
