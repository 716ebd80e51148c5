// what: the sum over k split among blocks, added by atomics to an output that cudaMemsetAsync clears
// problem: nvidia/sgemm-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int M, int N, int K, int part) {
    int col = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 8 + threadIdx.y, first = blockIdx.z * part;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    for (int k = first; k < min(K, first + part); k++) sum += A[row * K + k] * B[k * N + col];
    atomicAdd(&C[row * N + col], sum);
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    cudaMemsetAsync(C, 0, sizeof(float) * M * N, stream);
    product<<<dim3((N + 31) / 32, (M + 7) / 8, (K + 31) / 32), dim3(32, 8), 0, stream>>>(A, B, C, M, N, K, 32);
    return cudaGetLastError();
}
