// row: 3
// what: waits by the clock, to find out when it is timed
// problem: nvidia/transpose-256x256
// verdict: rejected
// says: clock64
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    long long now = clock64();
    if (now != 0 && i < R * C) out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
