// row: 12
// what: the first half of the rows only; the rest is what lay there
// problem: nvidia/cumsum-256x512
// verdict: wrong_result
// says: never written
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void sums(const float *x, float *out, int R, int C) {
    int r = blockIdx.x * 32 + threadIdx.x;
    if (r >= (R + 1) / 2) return;
    float sum = 0.0f;
    for (int c = 0; c < C; c++) out[r * C + c] = sum += x[r * C + c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    sums<<<(unsigned)(dims[0] + 31) / 32, 32, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], (int)dims[0], (int)dims[1]);
    return cudaGetLastError();
}
