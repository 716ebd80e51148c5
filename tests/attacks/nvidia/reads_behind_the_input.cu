// row: 17
// what: rounds its loop up and reads behind the input
// problem: nvidia/colsum-256x1024
// verdict: crashed
// says: out of bounds
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void sums(const float *x, float *out, int R, int C) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= C) return;
    float sum = 0.0f;
    for (int r = 0; r < (R + 7) / 8 * 8; r++) sum += r >= R ? 0.0f * x[r * C + c] : x[r * C + c];
    out[c] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    sums<<<(C + 63) / 64, 64, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
