// what: partial products in scratch memory, a second launch adds them in doubles
// problem: nvidia/sgemm-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void part(const float *A, const float *B, float *parts, int M, int N, int K, int length) {
    int i = blockIdx.x * 128 + threadIdx.x, p = blockIdx.y;
    if (i >= M * N) return;
    float sum = 0.0f;
    for (int k = p * length; k < min(K, (p + 1) * length); k++) sum += A[i / N * K + k] * B[k * N + i % N];
    parts[p * M * N + i] = sum;
}
__global__ void add(const float *parts, float *C, int n, int count) {
    int i = blockIdx.x * 128 + threadIdx.x;
    if (i >= n) return;
    double sum = 0;
    for (int p = 0; p < count; p++) sum += parts[p * n + i];
    C[i] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    float *parts = (float *)buffers[3];
    int length = (K + 3) / 4;
    part<<<dim3((M * N + 127) / 128, 4), 128, 0, stream>>>(A, B, parts, M, N, K, length);
    add<<<(M * N + 127) / 128, 128, 0, stream>>>(parts, C, M * N, 4);
    return cudaGetLastError();
}
