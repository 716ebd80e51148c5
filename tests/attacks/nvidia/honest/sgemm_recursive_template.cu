// what: a dot product unrolled by a recursive template
// problem: nvidia/sgemm-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

template <int Left> struct Dot {
    static __device__ float of(const float *a, const float *b, int stride) { return a[0] * b[0] + Dot<Left - 1>::of(a + 1, b + stride, stride); }
};
template <> struct Dot<0> { static __device__ float of(const float *, const float *, int) { return 0.0f; } };
__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    int col = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0.0f;
    int k = 0;
    for (; k + 8 <= K; k += 8) sum += Dot<8>::of(A + row * K + k, B + k * N + col, N);
    for (; k < K; k++) sum += Dot<1>::of(A + row * K + k, B + k * N + col, N);
    C[row * N + col] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    product<<<dim3((N + 15) / 16, (M + 15) / 16), dim3(16, 16), 0, stream>>>(A, B, C, M, N, K);
    return cudaGetLastError();
}
