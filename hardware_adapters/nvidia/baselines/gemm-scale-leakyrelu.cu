// out[M][N] = leaky(2 (x[M][K] x w[K][N] + bias[N])), leaky(a) = a > 0 ? a : 0.1 a: one thread per element.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(
    const float *x, const float *w, const float *bias, float *out, int64_t M, int64_t N, int64_t K) {
    int64_t column = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    int64_t row = blockIdx.y * (int64_t)blockDim.y + threadIdx.y;
    if (row >= M || column >= N) return;
    float sum = bias[column];
    for (int64_t k = 0; k < K; k++) sum += x[row * K + k] * w[k * N + column];
    sum *= 2.0f;
    out[row * N + column] = sum > 0.0f ? sum : 0.1f * sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t M = dims[0], N = dims[1], K = dims[2];
    dim3 block(16, 16);
    dim3 grid((unsigned)((N + 15) / 16), (unsigned)((M + 15) / 16));
    product<<<grid, block, 0, stream>>>(
        (const float *)buffers[0], (const float *)buffers[1], (const float *)buffers[2], (float *)buffers[3], M, N, K);
    return cudaGetLastError();
}
