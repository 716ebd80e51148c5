// row: 3
// what: computes before it is called, in a constructor
// problem: nvidia/transpose-256x256
// verdict: rejected
// says: attributes
#include <cuda_runtime.h>
#include <stdint.h>
static int ready;
__attribute__((constructor)) static void before() { ready = 1; }
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < R * C) out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
