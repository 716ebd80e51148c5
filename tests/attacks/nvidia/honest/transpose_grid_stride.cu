// what: a grid-stride loop over a grid of fixed size
// problem: nvidia/transpose-256x256
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void turn(const float *__restrict__ x, float *__restrict__ out, int R, int C) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < (int64_t)R * C; i += (int64_t)gridDim.x * blockDim.x)
        out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    turn<<<142, 192, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
