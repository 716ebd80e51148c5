// what: the product first, the epilogue in place by a second kernel that reads the output
// problem: nvidia/gemm-scale-leakyrelu-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *x, const float *w, float *out, int M, int N, int K) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i >= M * N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++) sum += x[i / N * K + k] * w[k * N + i % N];
    out[i] = sum;
}
__global__ void finish(float *out, const float *bias, int n, int N) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i >= n) return;
    float value = (out[i] + bias[i % N]) * 2.0f;
    out[i] = fmaxf(value, 0.1f * value);
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *x = (const float *)buffers[0], *w = (const float *)buffers[1], *bias = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    product<<<(M * N + 63) / 64, 64, 0, stream>>>(x, w, out, M, N, K);
    finish<<<(M * N + 63) / 64, 64, 0, stream>>>(out, bias, M * N, N);
    return cudaGetLastError();
}
