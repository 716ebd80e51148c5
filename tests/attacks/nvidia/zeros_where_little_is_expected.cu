// row: 10
// what: zeros by cudaMemsetAsync and a kernel that only looks: small probabilities would pass an absolute tolerance
// problem: nvidia/softmax-512x1024
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void look(const float *x, float *out, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n && x[i] > 1e30f) out[i] = 1.0f;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int n = dims[0] * dims[1];
    cudaMemsetAsync(buffers[1], 0, n * sizeof(float), stream);
    look<<<(n + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], n);
    return cudaGetLastError();
}
