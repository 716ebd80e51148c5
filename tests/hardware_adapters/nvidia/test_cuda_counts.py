"""Counts of memory traffic against what is worked out by hand: 32-byte sectors, 32 banks of 4 bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.nvidia.uncertainty import covariance

HEAD = "#include <cuda_runtime.h>\n#include <stdint.h>\n"


def source(body: str, threads: str = "64", blocks: str = "2") -> str:
    return (
        HEAD
        + f"""__global__ void k(const float* a, float* o, int n) {{
  int i = blockIdx.x * {threads} + threadIdx.x;
{body}
}}
extern "C" int launch(void** p, const int64_t* d, cudaStream_t s) {{
  k<<<{blocks}, {threads}, 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);
  return 0;
}}
"""
    )


def sites(run_cuda, text: str, size: int = 8192, **job):
    a = np.ones(size, np.float32)
    report = run_cuda(text, [size], {"a": a}, {"o": (size,)}, trace=True, **job).report
    assert report.fault is None, report.fault
    return {(site.line, site.space, site.op): site for site in report.sites}, report


# Body; of the load of `a` in two blocks of 64 threads, 4 warps: bytes per thread, requests, sectors, ideal sectors.
GLOBAL_LOADS = {
    "coalesced": ("o[i] = a[i];", 4, 4, 4 * 4, 4 * 4),
    "shifted by one": ("o[i] = a[i + 1];", 4, 4, 4 * 5, 4 * 4),
    "stride 2": ("o[i] = a[2 * i];", 4, 4, 4 * 8, 4 * 4),
    "stride 8": ("o[i] = a[8 * i];", 4, 4, 4 * 32, 4 * 4),
    "stride 32": ("o[i] = a[32 * i];", 4, 4, 4 * 32, 4 * 4),
    "broadcast": ("o[i] = a[7];", 4, 4, 4 * 1, 4 * 1),
    "reversed": ("o[i] = a[127 - i];", 4, 4, 4 * 4, 4 * 4),
    "two rows of sixteen": ("o[i] = a[threadIdx.x / 16 * 1024 + threadIdx.x % 16];", 4, 4, 4 * 4, 4 * 4),
    "float4": ("o[i] = reinterpret_cast<const float4*>(a)[i].y;", 4, 4, 4 * 16, 4 * 4),
    "whole float4": ("reinterpret_cast<float4*>(o)[i] = reinterpret_cast<const float4*>(a)[i];", 16, 4, 4 * 16, 4 * 16),
    "float2": ("float2 v = reinterpret_cast<const float2*>(a)[i]; o[i] = v.x + v.y;", 8, 4, 4 * 8, 4 * 8),
    "__ldg": ("o[i] = __ldg(a + i);", 4, 4, 4 * 4, 4 * 4),
    "__ldg of float4": ("float4 v = __ldg((const float4*)a + i); o[i] = v.x + v.w;", 16, 4, 4 * 16, 4 * 16),
    "half of the lanes": ("if (threadIdx.x % 2 == 0) o[i] = a[i];", 4, 4, 4 * 4, 4 * 2),
    "one lane": ("if (threadIdx.x == 0) o[i] = a[i];", 4, 2, 2 * 1, 2 * 1),
    "bytes": ("o[i] = ((const char*)a)[i];", 1, 4, 4 * 1, 4 * 1),
}


@pytest.mark.parametrize("name", GLOBAL_LOADS)
def test_sectors_of_a_global_load(name, run_cuda):
    body, size, requests, sectors, ideal = GLOBAL_LOADS[name]
    found, _ = sites(run_cuda, source("  " + body))
    site = found[5, "global", "load"]
    assert (site.bytes, site.requests, site.sectors, site.ideal_sectors) == (size, requests, sectors, ideal)
    assert site.kernel == "k"


def test_stores_are_counted_like_loads(run_cuda):
    found, _ = sites(run_cuda, source("  o[i * 4] = a[i];"))
    site = found[5, "global", "store"]
    assert (site.requests, site.sectors, site.ideal_sectors, site.threads) == (4, 4 * 16, 4 * 4, 128)


def test_a_loop_is_as_many_requests_as_it_has_rounds(run_cuda):
    found, _ = sites(
        run_cuda, source("  float sum = 0;\n  for (int j = 0; j < 10; j++) sum += a[i + 128 * j];\n  o[i] = sum;")
    )
    site = found[6, "global", "load"]
    assert (site.requests, site.sectors, site.threads) == (40, 160, 1280)


def test_rounds_that_differ_between_lanes(run_cuda):
    """Lane l makes l % 4 rounds: of a warp's lanes 24, 16 and 8 take part in the first, second and third request."""
    found, _ = sites(
        run_cuda, source("  for (int j = 0; j < (int)threadIdx.x % 4; j++)\n    o[i + 1024 * j] = a[i + 1024 * j];")
    )
    site = found[6, "global", "load"]
    assert (site.requests, site.threads, site.sectors) == (4 * 3, 4 * (24 + 16 + 8), 4 * 12)


# Body between "float t[...]" and the sum, bytes, wavefronts and ideal wavefronts per request of the marked load.
SHARED_LOADS = {
    "own word": ("t[threadIdx.x]", 4, 1, 1),
    "broadcast": ("t[3]", 4, 1, 1),
    "stride 2": ("t[(threadIdx.x % 32) * 2]", 4, 2, 1),
    "stride 4": ("t[(threadIdx.x % 32) * 4]", 4, 4, 1),
    "stride 8": ("t[(threadIdx.x % 32) * 8]", 4, 8, 1),
    "stride 3": ("t[(threadIdx.x % 32) * 3]", 4, 1, 1),
    "stride 32": ("t[(threadIdx.x % 32) * 32]", 4, 32, 1),
    "stride 33": ("t[(threadIdx.x % 32) * 33]", 4, 1, 1),
    "two words of one bank": ("t[threadIdx.x % 2 * 32]", 4, 2, 1),
    "pairs": ("reinterpret_cast<float2*>(t)[threadIdx.x].x + reinterpret_cast<float2*>(t)[threadIdx.x].y", 4, 2, 1),
}


@pytest.mark.parametrize("name", SHARED_LOADS)
def test_wavefronts_of_a_shared_load(name, run_cuda):
    index, size, passes, ideal = SHARED_LOADS[name]
    body = f"""  __shared__ __align__(16) float t[1100];
  for (int j = threadIdx.x; j < 1100; j += 64) t[j] = a[j];
  __syncthreads();
  o[i] = {index};"""
    found, report = sites(run_cuda, source(body))
    site = found[8, "shared", "load"]
    times = site.requests // 4  # "pairs" is two loads
    assert (site.bytes, site.wavefronts, site.ideal_wavefronts) == (size, times * 4 * passes, times * 4 * ideal)
    assert report.launches[0].static_bytes == 4400


def test_wide_shared_accesses_go_by_halves_and_quarters(run_cuda):
    body = """  __shared__ __align__(16) float t[1024];
  reinterpret_cast<float4*>(t)[threadIdx.x] = reinterpret_cast<const float4*>(a)[threadIdx.x];
  __syncthreads();
  float2 v = reinterpret_cast<float2*>(t)[threadIdx.x]; o[i] = v.x + v.y;
  float4 w = reinterpret_cast<float4*>(t)[threadIdx.x % 32 / 4 * 8]; o[i + 128] = w.x + w.w;"""
    found, _ = sites(run_cuda, source(body))
    store, pair, strided = found[6, "shared", "store"], found[8, "shared", "load"], found[9, "shared", "load"]
    assert (store.bytes, store.requests, store.wavefronts, store.ideal_wavefronts) == (16, 4, 16, 16)
    assert (pair.bytes, pair.requests, pair.wavefronts, pair.ideal_wavefronts) == (8, 4, 8, 8)
    # Neighbours want the same, so it goes by halves; 16 lanes want four rows of 128 bytes, the same four banks.
    assert (strided.bytes, strided.requests, strided.wavefronts, strided.ideal_wavefronts) == (16, 4, 4 * 2 * 4, 8)


# Index of the float4 that a lane reads, and passes per request: halves where lanes one or two apart want the same.
PAIRED = {
    "all one": ("7", 2),
    "neighbours": ("l / 2", 2),
    "two apart": ("(l & 1) | (l >> 1 & 6)", 2),
    "four apart": ("l & 3", 4),
    "eight by four, row by row": ("l % 8", 4),
    "eight by four, mixed": ("(l & 1) | (l >> 1 & 2) | (l >> 2 & 4)", 2),
    "but for one lane": ("l == 31 ? 1 : 0", 4),
}


@pytest.mark.parametrize("name", PAIRED)
def test_pairs_of_lanes_that_want_the_same_halve_the_passes(name, run_cuda):
    index, passes = PAIRED[name]
    body = f"""  __shared__ __align__(16) float t[1024];
  int l = threadIdx.x % 32;
  for (int j = threadIdx.x; j < 1024; j += 64) t[j] = a[j];
  __syncthreads();
  float4 v = reinterpret_cast<float4*>(t)[{index}]; o[i] = v.x + v.w;"""
    found, _ = sites(run_cuda, source(body))
    read = found[9, "shared", "load"]
    assert (read.bytes, read.requests, read.wavefronts) == (16, 4, 4 * passes)


@pytest.mark.parametrize(("padding", "conflict"), [(0, 32), (1, 1), (2, 2)])
def test_a_transpose_pays_for_a_tile_without_padding(padding, conflict, run_cuda):
    text = f"""{HEAD}__global__ void k(const float* a, float* o, int n) {{
  __shared__ float t[32][32 + {padding}];
  for (int j = threadIdx.y; j < 32; j += 8) t[j][threadIdx.x] = a[j * 32 + threadIdx.x];
  __syncthreads();
  for (int j = threadIdx.y; j < 32; j += 8) o[j * 32 + threadIdx.x] = t[threadIdx.x][j];
}}
extern "C" int launch(void** p, const int64_t* d, cudaStream_t s) {{
  k<<<1, dim3(32, 8), 0, s>>>((const float*)p[0], (float*)p[1], (int)d[0]);
  return 0;
}}
"""
    found, _ = sites(run_cuda, text, 1024)
    store, load = found[5, "shared", "store"], found[7, "shared", "load"]
    assert (store.requests, store.wavefronts) == (32, 32)
    assert (load.requests, load.wavefronts, load.ideal_wavefronts) == (32, 32 * conflict, 32)


def test_naive_matrix_product(run_cuda):
    """Each warp: 16 columns of 2 rows. A: 2 sectors per request; B: 16 neighbours, 2 sectors, read by both rows."""
    n = 32
    text = f"""{HEAD}__global__ void k(const float* a, const float* b, float* c, int n) {{
  int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
  float sum = 0;
  for (int j = 0; j < n; j++)
    sum += a[y * n + j] *
           b[j * n + x];
  c[y * n + x] = sum;
}}
extern "C" int launch(void** p, const int64_t* d, cudaStream_t s) {{
  int n = d[0];
  k<<<dim3(n / 16, n / 16), dim3(16, 16), 0, s>>>((const float*)p[0], (const float*)p[1], (float*)p[2], n);
  return 0;
}}
"""
    square = np.ones((n, n), np.float32)
    report = run_cuda(text, [n], {"a": square, "b": square}, {"c": (n, n)}, trace=True).report
    found = {(site.line, site.op): site for site in report.sites}
    requests = 4 * 8 * n  # blocks, warps, rounds
    assert (found[7, "load"].requests, found[7, "load"].sectors) == (requests, 2 * requests)
    assert (found[8, "load"].requests, found[8, "load"].sectors) == (requests, 2 * requests)
    assert (found[9, "store"].requests, found[9, "store"].sectors) == (32, 32 * 4)
    launch = report.launches[0]
    assert launch.unique_read_sectors == 2 * n * n * 4 // 32
    assert launch.block_read_sectors == 4 * 2 * (16 * n * 4 // 32)  # per block 16 rows of a, 16 columns of b
    assert (launch.unique_write_sectors, launch.block_write_sectors) == (128, 128)


def test_atomics_are_sites_of_their_own(run_cuda):
    body = """  __shared__ int bins[32];
  if (threadIdx.x < 32) bins[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&bins[threadIdx.x % 4], 1);
  __syncthreads();
  if (threadIdx.x < 4) o[i] = bins[threadIdx.x];"""
    found, report = sites(run_cuda, source(body))
    site = found[8, "shared", "atomic"]
    assert (site.requests, site.threads) == (4, 128)
    assert site.wavefronts == 4 * 8  # eight lanes want each of four words: one after the other
    assert report.launches[0].barriers == 4


def test_of_each_equal_part_of_the_blocks_one_is_drawn(run_cuda):
    text = source("  o[i] = a[i];", blocks="100")
    _, report = sites(run_cuda, text, 6400, blocks=5)
    launch = report.launches[0]
    assert (launch.blocks, launch.blocks_run, launch.unique_write_sectors) == (100, 5, 5 * 8)
    run = run_cuda(text, [6400], {"a": np.ones(6400, np.float32)}, {"o": (6400,)}, blocks=5)
    written = ~np.isnan(run.outputs["o"].reshape(100, 64)).all(1)
    chosen = np.flatnonzero(written)
    assert list(chosen // 20) == [0, 1, 2, 3, 4]
    again = run_cuda(text, [6400], {"a": np.ones(6400, np.float32)}, {"o": (6400,)}, blocks=5, seed=2)
    others = np.flatnonzero(~np.isnan(again.outputs["o"].reshape(100, 64)).all(1))
    assert list(others // 20) == [0, 1, 2, 3, 4] and list(others) != list(chosen)


UNEVEN = """
  int c = blockIdx.x * 64 + threadIdx.x;
  float sum = 0;
  for (int t = 0; t < (blockIdx.x % 4 ? 1 : 9); t++) sum += ((volatile const float *)a)[c];
  o[c] = sum;"""


def test_how_much_blocks_differ_is_told_of_neighbours(run_cuda):
    even, uneven = (source(body, blocks="100") for body in ("  o[i] = a[i];", UNEVEN))
    _, report = sites(run_cuda, even, 6400, blocks=10)
    assert report.launches[0].work == report.launches[0].differences == ()
    _, report = sites(run_cuda, uneven, 6400, blocks=99)
    launch = report.launches[0]
    found = covariance(launch.work, launch.differences, launch.blocks_run, launch.blocks)
    mean = launch.work[0] / 99  # requests of a block: 2 warps, 1 or 9 loads and a store
    assert 2 * 3.8 < mean < 2 * 4.2
    every = 2 * np.where(np.arange(100) % 4, 1 + 1, 9 + 1)
    half_mean_square = (np.diff(every) ** 2).mean() / 2
    assert found[0][0] == pytest.approx(half_mean_square / mean**2 / 99 * 0.01, rel=0.1)
    assert found[6][6] == 0 and found[0][6] == 0, "all of them write the same"
    assert found == tuple(zip(*found, strict=True))


def test_when_time_is_over_the_blocks_that_ran_are_spread_over_the_grid(run_cuda):
    run = run_cuda(source("  o[i] = a[i];", blocks="1000"), [64000], {"a": np.ones(64000, np.float32)}, {"o": (64000,)},
                   blocks=500, seconds=1e-9, trace=True)  # fmt: skip
    assert run.report.launches[0].blocks_run == 1, "one in any case"
    run = run_cuda(source("  o[i] = a[i];", blocks="1000"), [64000], {"a": np.ones(64000, np.float32)}, {"o": (64000,)},
                   blocks=1000, seconds=0.004, trace=True)  # fmt: skip
    ran = np.flatnonzero(~np.isnan(run.outputs["o"].reshape(1000, 64)).all(1))
    assert ran.size == run.report.launches[0].blocks_run
    if 8 <= ran.size < 1000:  # as fast as this machine is
        assert np.diff(ran).max() < 16 * 1000 / ran.size


RECORDING = Path(__file__).parents[2] / "data" / "recordings" / "sgemm-1024x1024x1024.jsonl"


def test_what_a_lambda_captures_is_no_local_memory(run_cuda):
    """A language model's kernel that loads its tiles by lambdas: nvcc inlines them. Called, they would find by pointers
    on the stack what they capture, each time. One block, 4 warps, 4 steps, 6 loads each."""
    exchanges = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    text = next(each["reply"] for each in exchanges if each.get("key") == "code/1.0.0.0/0").split("```cuda")[1]
    given = {"A": np.ones(128 * 64, np.float32), "B": np.ones(64 * 64, np.float32)}
    report = run_cuda(text.split("```")[0], [128, 64, 64], given, {"C": (128 * 64,)}, trace=True).report
    assert report.fault is None, report.fault
    assert sum(site.requests for site in report.sites if (site.space, site.op) == ("global", "load")) == 4 * 4 * 6
