// what: partial sums into scratch memory, a second kernel adds them
// problem: nvidia/colsum-256x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void part(const float *x, float *sums, int R, int C, int rows) {
    int c = blockIdx.x * 64 + threadIdx.x, first = blockIdx.y * rows;
    if (c >= C) return;
    float sum = 0.0f;
    for (int r = first; r < min(R, first + rows); r++) sum += x[r * C + c];
    sums[blockIdx.y * C + c] = sum;
}
__global__ void all(const float *sums, float *out, int parts, int C) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= C) return;
    float sum = 0.0f;
    for (int p = 0; p < parts; p++) sum += sums[p * C + c];
    out[c] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    float *scratch = (float *)buffers[2];
    int parts = (R + 31) / 32;
    part<<<dim3((C + 63) / 64, parts), 64, 0, stream>>>(x, scratch, R, C, 32);
    all<<<(C + 63) / 64, 64, 0, stream>>>(scratch, out, parts, C);
    return cudaGetLastError();
}
