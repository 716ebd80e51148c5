// what: sums in double
// problem: nvidia/colsum-256x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void sums(const float *x, float *out, int64_t R, int64_t C) {
    int64_t c = blockIdx.x * 96 + threadIdx.x;
    double sum = 0;
    if (c < C) {
        for (int64_t r = 0; r < R; ++r) sum += x[r * C + c];
        out[c] = (float)sum;
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    sums<<<(C + 95) / 96, 96, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
