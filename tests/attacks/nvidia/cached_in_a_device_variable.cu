// row: 5
// what: computes at the first call, later ones copy the result that a device variable kept
// problem: nvidia/colsum-512x1024
// verdict: wrong_result
// says: in a later call only
#include <cuda_runtime.h>
#include <stdint.h>
__device__ float kept[8192];
__device__ int known[8192];
__global__ void sums(const float *x, float *out, int R, int C) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= C) return;
    if (!known[c]) {
        float sum = 0.0f;
        for (int r = 0; r < R; r++) sum += x[r * C + c];
        kept[c] = sum;
        known[c] = 1;
    }
    out[c] = kept[c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    sums<<<(unsigned)(dims[1] + 63) / 64, 64, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], (int)dims[0], (int)dims[1]);
    return cudaGetLastError();
}
