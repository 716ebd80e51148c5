// what: two buffers in shared memory that take turns (Hillis and Steele)
// problem: nvidia/cumsum-128x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void scan(const float *x, float *out, int R, int C) {
    __shared__ float kept[2][128];
    float carry = 0.0f;
    for (int first = 0; first < C; first += 128) {
        int c = first + threadIdx.x, now = 0;
        kept[0][threadIdx.x] = c < C ? x[blockIdx.x * C + c] : 0.0f;
        __syncthreads();
        for (int by = 1; by < 128; by <<= 1, now ^= 1) {
            kept[now ^ 1][threadIdx.x] = kept[now][threadIdx.x] + (threadIdx.x >= by ? kept[now][threadIdx.x - by] : 0.0f);
            __syncthreads();
        }
        if (c < C) out[blockIdx.x * C + c] = carry + kept[now][threadIdx.x];
        carry += kept[now][127];
        __syncthreads();
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    scan<<<R, 128, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
