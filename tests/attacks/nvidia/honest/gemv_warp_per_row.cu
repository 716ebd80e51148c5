// what: a warp per row, read-only loads
// problem: nvidia/gemv-256x1024
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *v, float *y, int M, int N) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / warpSize, lane = threadIdx.x % warpSize;
    if (row >= M) return;
    float sum = 0.0f;
    for (int n = lane; n < N; n += warpSize) sum = __fmaf_rn(__ldg(A + (size_t)row * N + n), __ldg(v + n), sum);
#pragma unroll
    for (int by = 16; by > 0; by >>= 1) sum += __shfl_down_sync(0xffffffff, sum, by);
    if (lane == 0) y[row] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1];
    const float *A = (const float *)buffers[0], *v = (const float *)buffers[1];
    float *y = (float *)buffers[2];
    product<<<(M * 32 + 127) / 128, 128, 0, stream>>>(A, v, y, M, N);
    return cudaGetLastError();
}
