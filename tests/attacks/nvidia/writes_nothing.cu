// row: 7
// what: a kernel that leaves the output as it is: where an earlier one, or the reference, wrote it would be right
// problem: nvidia/colsum-256x1024
// verdict: wrong_result
// says: never written
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void look(const float *x, float *out, int C) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c < C && x[c] > 1e30f) out[c] = 0.0f;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    look<<<(C + 63) / 64, 64, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], C);
    return cudaGetLastError();
}
