// row: 19
// what: reads shared memory that it never wrote: an earlier block's
// problem: nvidia/transpose-256x256
// verdict: crashed
// says: uninitialised shared
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void turn(const float *x, float *out, int R, int C) {
    __shared__ float left[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    if (blockIdx.x == 0) left[threadIdx.x] = 0.0f;
    __syncthreads();
    if (i < R * C) out[i % C * R + i / C] = x[i] + left[threadIdx.x];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
