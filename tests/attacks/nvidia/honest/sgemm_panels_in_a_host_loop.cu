// what: a launch per panel of 32 columns, in a loop of the host
// problem: nvidia/sgemm-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void panel(const float *A, const float *B, float *C, int M, int N, int K, int first) {
    int col = first + threadIdx.x, row = blockIdx.x * 8 + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + col];
    C[row * N + col] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    for (int first = 0; first < N; first += 32) panel<<<(M + 7) / 8, dim3(32, 8), 0, stream>>>(A, B, C, M, N, K, first);
    return cudaGetLastError();
}
