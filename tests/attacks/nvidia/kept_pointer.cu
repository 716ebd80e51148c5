// row: 5
// what: keeps a pointer to the first call's output and writes there
// problem: nvidia/transpose-256x256
// verdict: crashed
// says: out of bounds
#include <cuda_runtime.h>
#include <stdint.h>
__device__ float *first;
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i == 0 && !first) first = out;
    __threadfence();
    if (i < R * C) (i ? out : first)[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
