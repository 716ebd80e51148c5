// row: 4
// what: a kernel launches the kernel that works (dynamic parallelism)
// problem: nvidia/transpose-256x256
// verdict: crashed
// says: dynamic parallelism
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < R * C) out[i % C * R + i / C] = x[i];
}
__global__ void parent(const float *x, float *out, int R, int C) {
    turn<<<(R * C + 255) / 256, 256>>>(x, out, R, C);
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    parent<<<1, 1, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
