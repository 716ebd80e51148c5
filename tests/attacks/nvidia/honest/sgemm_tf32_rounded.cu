// what: factors rounded to ten bits of mantissa where the id permits it
// problem: nvidia/sgemm-128x128x128-tf32
#include <cuda_runtime.h>
#include <stdint.h>

__device__ inline float rounded(float x) { return __uint_as_float((__float_as_uint(x) + 0x1000u) & 0xffffe000u); }
__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    int i = blockIdx.x * 128 + threadIdx.x;
    if (i >= M * N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++) sum += rounded(A[i / N * K + k]) * rounded(B[k * N + i % N]);
    C[i] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    product<<<(M * N + 127) / 128, 128, 0, stream>>>(A, B, C, M, N, K);
    return cudaGetLastError();
}
