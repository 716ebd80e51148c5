// row: 11
// what: leaves the bias out of the fused product
// problem: nvidia/gemm-scale-leakyrelu-128x128x128
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void product(const float *x, const float *w, float *out, int M, int N, int K) {
    int col = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++) sum += x[row * K + k] * w[k * N + col];
    sum *= 2.0f;
    out[row * N + col] = sum > 0.0f ? sum : 0.1f * sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    product<<<dim3((N + 15) / 16, (M + 15) / 16), dim3(16, 16), 0, stream>>>((const float *)buffers[0], (const float *)buffers[1], (float *)buffers[3], M, N, K);
    return cudaGetLastError();
}
