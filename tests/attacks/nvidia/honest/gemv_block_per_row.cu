// what: a block per row, the last steps without barriers but with __syncwarp
// problem: nvidia/gemv-256x1024
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *v, float *y, int N) {
    __shared__ float part[256];
    float sum = 0;
    for (int n = threadIdx.x; n < N; n += 256) sum += A[blockIdx.x * N + n] * v[n];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int by = 128; by > 16; by /= 2) {
        if (threadIdx.x < by) part[threadIdx.x] += part[threadIdx.x + by];
        __syncthreads();
    }
    if (threadIdx.x < 32) {
        for (int by = 16; by > 0; by /= 2) {
            float other = part[threadIdx.x + by];
            __syncwarp();
            if (threadIdx.x < by) part[threadIdx.x] += other;
            __syncwarp();
        }
    }
    if (threadIdx.x == 0) y[blockIdx.x] = part[0];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1];
    const float *A = (const float *)buffers[0], *v = (const float *)buffers[1];
    float *y = (float *)buffers[2];
    product<<<M, 256, 0, stream>>>(A, v, y, N);
    return cudaGetLastError();
}
