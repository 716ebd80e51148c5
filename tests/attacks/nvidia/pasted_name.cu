// row: 20
// what: a name pasted together
// problem: nvidia/transpose-256x256
// verdict: rejected
// says: pasting
#include <cuda_runtime.h>
#include <stdint.h>
#define PASTE(a, b) a##b
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < R * C) out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    PASTE(sys, tem)("id");
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
