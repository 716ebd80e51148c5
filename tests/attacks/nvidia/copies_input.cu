// row: 10
// what: a copy of the input instead of its softmax
// problem: nvidia/softmax-512x1024
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void copy(const float *x, float *out, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) out[i] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int n = dims[0] * dims[1];
    copy<<<(n + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], n);
    return cudaGetLastError();
}
