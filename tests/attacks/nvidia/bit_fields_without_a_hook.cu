// row: 18
// what: loads by bit fields, which no hook reports
// problem: nvidia/transpose-256x256
// verdict: rejected
// says: bit fields
#include <cuda_runtime.h>
#include <stdint.h>
struct Parts { unsigned char low; unsigned high : 24; };
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < R * C) {
        const Parts *at = (const Parts *)(x + i);
        out[i % C * R + i / C] = __uint_as_float(at->high << 8 | at->low);
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
