// C[M][N] = A[M][K] x B[K][N]: one thread per element of C.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
    int64_t column = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    int64_t row = blockIdx.y * (int64_t)blockDim.y + threadIdx.y;
    if (row >= M || column >= N) return;
    float sum = 0.0f;
    for (int64_t k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + column];
    C[row * N + column] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t M = dims[0], N = dims[1], K = dims[2];
    dim3 block(16, 16);
    dim3 grid((unsigned)((N + 15) / 16), (unsigned)((M + 15) / 16));
    product<<<grid, block, 0, stream>>>((const float *)buffers[0], (const float *)buffers[1], (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
