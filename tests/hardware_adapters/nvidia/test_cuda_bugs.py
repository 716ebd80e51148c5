"""Kernels with one mistake each: the fault names its kind and its line, which a comment `BUG` marks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"
# Of a kernel k(const float* a, float* o, int n), launched with G blocks of B threads and S bytes of shared memory.
TAIL = """
#ifndef G
#define G 2
#endif
#ifndef B
#define B 64
#endif
#ifndef S
#define S 0
#endif
extern "C" int launch(void** p, const int64_t* d, cudaStream_t s) {
  k<<<G, B, S, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);
  return cudaGetLastError();
}
"""
SIZE = "cudaFuncAttributeMaxDynamicSharedMemorySize"
K = "__global__ void k(const float* a, float* o, int n) {\n"


class Bug(NamedTuple):
    kind: str
    body: str
    says: str = ""
    defines: str = ""
    tail: str = TAIL
    other: str = ""  # what it may look like in some order
    orders: tuple[int, ...] = (0, 1, 2)  # in which it must be found


def kernel(body: str) -> str:
    return K + body + "\n}\n"


BUGS = {
    "missing barrier after a store": Bug("race_shared", kernel("""
  __shared__ float t[64];
  int i = threadIdx.x;
  t[i] = a[i];
  o[i] = t[(i + 40) % 64] + t[i / 2]; // BUG"""), "", "#define G 1\n", other="uninitialised_shared"),
    "missing barrier between two uses": Bug("race_shared", kernel("""
  __shared__ float t[64];
  int i = threadIdx.x;
  float sum = 0;
  for (int r = 0; r < 4; r++) {
    t[i] = a[i] + r; // BUG
    __syncthreads();
    sum += t[(i + 33) % 64]; // BUG
  }
  o[i] = sum;"""), "t", "#define G 1\n"),
    "missing warp barrier": Bug("race_shared", kernel("""
  __shared__ float t[32];
  int i = threadIdx.x;
  t[i] = a[i];
  __syncwarp();
  for (int by = 16; by; by /= 2) if (i < by) t[i] += t[i + by]; // BUG
  if (i == 0) o[0] = t[0];"""), "t", "#define G 1\n#define B 32\n", orders=(0, 2)),
    "two threads write different values": Bug("race_shared", kernel("""
  __shared__ float t[8];
  t[threadIdx.x % 8] = a[threadIdx.x]; // BUG
  __syncthreads();
  o[threadIdx.x] = t[threadIdx.x % 8];"""), "written by", "#define G 1\n"),
    "barrier in a branch": Bug("divergent_barrier", kernel("""
  __shared__ float t[64];
  int i = threadIdx.x;
  t[i] = a[i];
  if (i < 32) {
    __syncthreads(); // BUG
    o[i] = t[63 - i];
  }""")),
    "early return before a barrier": Bug("divergent_barrier", kernel("""
  __shared__ float t[64];
  int i = blockIdx.x * 64 + threadIdx.x;
  if (i >= n) return;
  t[threadIdx.x] = a[i];
  __syncthreads(); // BUG
  o[i] = t[threadIdx.x ^ 1];"""), "has ended"),
    "two barriers for two halves": Bug("divergent_barrier", kernel("""
  if (threadIdx.x < 32) {
    __syncthreads(); // BUG
  } else {
    __syncthreads(); // BUG
  }
  o[threadIdx.x] = 1;"""), "waits at the one in line"),
    "barrier count that depends on data": Bug("divergent_barrier", kernel("""
  for (int i = 0; i < (int)(threadIdx.x % 2) + 1; i++)
    __syncthreads(); // BUG
  o[threadIdx.x] = 1;""")),
    "load one past the end": Bug("out_of_bounds", kernel("""
  int i = blockIdx.x * 64 + threadIdx.x;
  if (i <= n)
    o[i < n ? i : 0] = a[i]; // BUG"""), "byte 400 of the 400 bytes of 'a'"),
    "load before the beginning": Bug("out_of_bounds", kernel("""
  int i = blockIdx.x * 64 + threadIdx.x;
  if (i < n)
    o[i] = a[i - 1]; // BUG"""), "byte -4 of the 400 bytes of 'a'"),
    "store without a check of the tail": Bug("out_of_bounds", kernel("""
  int i = blockIdx.x * 64 + threadIdx.x;
  float v = i < n ? a[i] : 0;
  o[i] = v; // BUG"""), "'o'"),
    "index far outside": Bug("out_of_bounds", kernel("""
  int i = threadIdx.x;
  o[i] = a[i * 100000 + 5000000]; // BUG""")),
    "vector load over the end": Bug("out_of_bounds", kernel("""
  int i = threadIdx.x;
  if (i * 4 < n + 4) {
    float4 v = reinterpret_cast<const float4*>(a)[i]; // BUG
    o[i * 4 % n] = v.x + v.w;
  }"""), "'a'", "#define G 1\n"),
    "shared array one too short": Bug("out_of_bounds", kernel("""
  __shared__ float t[63];
  float* p = t;
  p[threadIdx.x] = a[threadIdx.x]; // BUG
  __syncthreads();
  o[threadIdx.x] = p[threadIdx.x];"""), "of shared 't'", "#define G 1\n"),
    "shared index through a halo": Bug("out_of_bounds", kernel("""
  __shared__ float t[64 + 2];
  __shared__ float u[64];
  int i = threadIdx.x;
  float* p = t;
  t[i + 1] = a[i]; u[i] = 0;
  if (i == 0) t[0] = t[65] = 0;
  __syncthreads();
  o[i] = p[i] + p[i + 3]; // BUG"""), "shared 't'", "#define G 1\n"),
    "index outside of a constant array": Bug("out_of_bounds", kernel("""
  float r[4];
  for (int j = 0; j < 4; j++) r[j] = a[j];
  o[threadIdx.x] = r[threadIdx.x % 5]; // BUG"""), "", "#define G 1\n"),
    "dynamic shared memory too small": Bug("out_of_bounds", kernel("""
  extern __shared__ float t[];
  t[threadIdx.x] = a[threadIdx.x]; // BUG
  __syncthreads();
  o[threadIdx.x] = t[threadIdx.x];"""), "dynamic shared", "#define G 1\n#define S 128\n"),
    "uninitialised shared tile": Bug("uninitialised_shared", kernel("""
  __shared__ float t[64];
  int i = threadIdx.x;
  if (i < 60) t[i] = a[i];
  __syncthreads();
  o[i] = t[i]; // BUG"""), "no thread of the block has written"),
    "shared accumulator that nobody clears": Bug("uninitialised_shared", kernel("""
  __shared__ int count;
  if (a[threadIdx.x] > 0) atomicAdd(&count, 1); // BUG
  __syncthreads();
  o[blockIdx.x] = count;""")),
    "shared memory of the block before": Bug("uninitialised_shared", kernel("""
  __shared__ float t[64];
  if (blockIdx.x == 0) t[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  o[blockIdx.x * 8 + threadIdx.x % 8] = t[threadIdx.x % 8]; // BUG"""), "t"),
    "blocks add without atomics": Bug("race_global", kernel("""
  if (threadIdx.x == 0 && blockIdx.x == 0) o[0] = 0;
  if (threadIdx.x == 0) o[0] += a[blockIdx.x]; // BUG"""), "another block", "#define G 8\n", orders=(0,)),
    "threads of a block write one place": Bug("race_global", kernel("""
  o[blockIdx.x] = a[threadIdx.x]; // BUG"""), "written by"),
    "block reads its neighbour's result": Bug("race_global", kernel("""
  int i = blockIdx.x * 64 + threadIdx.x;
  if (i < n) o[i] = a[i]; // BUG
  __syncthreads();
  int j = blockIdx.x == 0 ? 64 : 0;
  if (i < n) o[i] = o[j] + 1; // BUG"""), "another block"),
    "missing barrier on global memory": Bug("race_global", kernel("""
  int i = threadIdx.x;
  o[i] = a[i]; // BUG
  float v = o[(i + 40) % 64]; // BUG
  __syncthreads();
  o[i] = v;"""), "o", "#define G 1\n"),
    "misaligned float4": Bug("misaligned", kernel("""
  const float4* v = reinterpret_cast<const float4*>(a + 1);
  o[threadIdx.x] = v[threadIdx.x % 8].x; // BUG"""), "multiple of 16"),
    "misaligned float2 store": Bug("misaligned", kernel("""
  int i = threadIdx.x;
  if (i < 16) *reinterpret_cast<float2*>(o + 2 * i + 1) = make_float2(a[i], a[i]); // BUG"""), "multiple of 8"),
    "misaligned __ldg": Bug("misaligned", kernel("""
  o[threadIdx.x] = __ldg(reinterpret_cast<const float2*>(a + threadIdx.x)).x; // BUG"""), "multiple of 8"),
    "half of the lanes shuffle": Bug("missing_lanes", kernel("""
  float v = a[threadIdx.x];
  if (threadIdx.x < 16) v += __shfl_down_sync(0xffffffff, v, 8); // BUG
  __syncthreads();
  o[threadIdx.x] = v;"""), "names the lanes", "#define G 1\n#define B 32\n"),
    "mask without the caller": Bug("missing_lanes", kernel("""
  float v = a[threadIdx.x];
  v += __shfl_xor_sync(0xffff, v, 1); // BUG
  o[threadIdx.x] = v;"""), "leaves that lane out", "#define B 32\n"),
    "shuffle from a thread that has ended": Bug("missing_lanes", kernel("""
  if (threadIdx.x >= 20) return;
  float v = a[threadIdx.x];
  v += __shfl_down_sync(0xffffffff, v, 16); // BUG
  o[threadIdx.x] = v;"""), "has ended", "#define B 32\n"),
    "two shuffles for two halves": Bug("missing_lanes", kernel("""
  float v = a[threadIdx.x];
  if (threadIdx.x % 2)
    v = __shfl_sync(0xffffffff, v, 0); // BUG
  else
    v = __shfl_sync(0xffffffff, v, 1); // BUG
  o[threadIdx.x] = v;"""), "", "#define B 32\n"),
    "block of 2048 threads": Bug("bad_launch", kernel("  o[0] = a[0];"), "1024", "#define B 2048\n",
        TAIL.replace("k<<<", "/* BUG */ k<<<")),
    "no blocks at all": Bug("bad_launch", kernel("  o[0] = a[0];"), "0", "#define G (int)(d[0] / 1000)\n",
        TAIL.replace("k<<<", "/* BUG */ k<<<")),
    "too much static shared memory": Bug("shared_memory", kernel("""
  __shared__ float t[13000]; // BUG
  t[threadIdx.x] = a[threadIdx.x];
  o[threadIdx.x] = t[threadIdx.x];"""), "49152"),
    "too much dynamic shared memory": Bug("shared_memory", kernel("  o[0] = a[0];"), "cudaFuncSetAttribute",
        "#define S 60000\n", TAIL.replace("k<<<", "/* BUG */ k<<<")),
    "more shared memory than the device has": Bug("shared_memory", kernel("  o[0] = a[0];"), "device has",
        "", TAIL.replace("  k<<<", f"  cudaFuncSetAttribute(k, {SIZE}, 120000); // BUG\n  k<<<")),
    "input written": Bug("input_written", kernel("""
  const_cast<float*>(a)[threadIdx.x] = 0; // BUG"""), "'a'"),
    "null pointer": Bug("null_pointer", kernel("""
  const float* p = n > 5 ? nullptr : a;
  o[threadIdx.x] = p[threadIdx.x]; // BUG"""), orders=(0,)),
    "pointer of the host": Bug("out_of_bounds",
        "__global__ void k(const int64_t* d, float* o) {\n  o[threadIdx.x] = (float)d[0]; // BUG\n}\n",
        "pointer of the host", tail="""
extern "C" int launch(void** p, const int64_t* d, cudaStream_t s) {
  k<<<1, 32, 0, s>>>(d, (float*)p[1]);
  return 0;
}
"""),
    "default stream": Bug("wrong_stream", kernel("  if (threadIdx.x == 0) o[blockIdx.x] = a[0];"), "stream", "",
        TAIL.replace("k<<<G, B, S, s>>>", "/* BUG */ k<<<G, B, S>>>")),
    "division by zero": Bug("division_by_zero", kernel("""
  int z = (int)a[50];
  o[threadIdx.x] = (float)(n / z); // BUG""")),
    "a loop without end": Bug("timeout", kernel("""
  for (int i = 0; ; i++) o[blockIdx.x * 64 + threadIdx.x % 32] = a[i % n]; // BUG"""), defines="#define B 32\n"),
    "a lock inside of a warp": Bug("deadlock", kernel("""
  __shared__ int lock;
  if (threadIdx.x == 0) lock = 1;
  __syncthreads();
  while (atomicCAS(&lock, 0, 1) != 0) { } // BUG
  o[0] = a[0];"""), "wait for each other"),
    "assertion": Bug("assertion", "#include <cassert>\n" + kernel("""
  assert(a[threadIdx.x] > 1e30f); // BUG
  o[threadIdx.x] = 0;"""), "does not hold"),
    "endless recursion of local arrays": Bug("stack_overflow", """
__device__ __noinline__ float deep(const float* a, int n) {
  float r[2000];
  for (int j = 0; j < 2000; j++) r[j] = a[j % n];
  return n > 1 ? deep(a, n - 1) + r[n] + r[n + 7] : r[0];
}
""" + kernel("  o[threadIdx.x] = deep(a, n);")),
}  # fmt: skip


def lines_of(source: str) -> set[int]:
    return {number for number, line in enumerate(source.splitlines(), 1) if "BUG" in line}


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_with_its_line(name, run_cuda):
    bug = BUGS[name]
    source = HEAD + bug.defines + bug.body + bug.tail
    wanted = lines_of(source)
    a = np.linspace(-1, 1, 100, dtype=np.float32)
    for order in bug.orders:
        fault = run_cuda(source, [100], {"a": a}, {"o": (100,)}, order=order, cpu_s=1.0).report.fault
        assert fault is not None, f"nothing found in order {order}"
        assert fault.kind in (bug.kind, bug.other), fault
        assert bug.says in fault.message, fault
        assert not wanted or fault.line in wanted, fault


def test_an_endless_loop_has_a_line_wherever_the_clock_stops_it(run_cuda):
    bug = BUGS["a loop without end"]
    source = HEAD + bug.defines + bug.body + bug.tail
    a = np.zeros(100, np.float32)
    for n in range(30):  # of which some stop between the kernel and a hook, where no line is
        fault = run_cuda(source, [100], {"a": a}, {"o": (100,)}, cpu_s=0.01 + n / 1e4).report.fault
        assert fault is not None
        assert {fault.line} == lines_of(source), fault


def test_there_are_enough_of_them():
    assert len(BUGS) >= 30
