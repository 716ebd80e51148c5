// what: three products of bfloat16 parts, which together keep float32's accuracy
// problem: nvidia/sgemm-128x128x128
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

struct Split { float high, middle, low; };
__device__ Split split(float x) {
    Split made;
    made.high = __bfloat162float(__float2bfloat16(x));
    made.middle = __bfloat162float(__float2bfloat16(x - made.high));
    made.low = __bfloat162float(__float2bfloat16(x - made.high - made.middle));
    return made;
}
__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    int i = blockIdx.x * 128 + threadIdx.x;
    if (i >= M * N) return;
    float big = 0.0f, small = 0.0f;
    for (int k = 0; k < K; k++) {
        Split a = split(A[i / N * K + k]), b = split(B[k * N + i % N]);
        big += a.high * b.high;
        small += a.high * b.middle + a.middle * b.high + a.middle * b.middle + a.high * b.low + a.low * b.high;
    }
    C[i] = big + small;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    product<<<(M * N + 127) / 128, 128, 0, stream>>>(A, B, C, M, N, K);
    return cudaGetLastError();
}
