// what: a three-dimensional grid of three-dimensional blocks
// problem: nvidia/transpose-256x256
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void turn(const float *x, float *out, int R, int C) {
    int c = (blockIdx.x * 2 + threadIdx.x) * 4 + threadIdx.y, r = (blockIdx.y * gridDim.z + blockIdx.z) * 8 + threadIdx.z;
    if (r < R && c < C) out[c * R + r] = x[r * C + c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    turn<<<dim3((C + 7) / 8, (R + 23) / 24, 3), dim3(2, 4, 8), 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
