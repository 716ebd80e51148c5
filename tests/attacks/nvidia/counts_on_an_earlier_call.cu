// row: 19
// what: a device variable of an earlier process or call says that all is done
// problem: nvidia/colsum-256x1024
// verdict: wrong_result
// says: in a later call only
#include <cuda_runtime.h>
#include <stdint.h>
__device__ int done;
__global__ void sums(const float *x, float *out, int R, int C) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= C) return;
    if (done) return;
    float sum = 0.0f;
    for (int r = 0; r < R; r++) sum += x[r * C + c];
    out[c] = sum;
    if (c == C - 1) done = 1;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    sums<<<(C + 63) / 64, 64, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
