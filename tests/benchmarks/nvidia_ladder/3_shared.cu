// Tiles of 32 x 32 in shared memory, one result per thread.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[32][32], b[32][32];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 32 + y, column = blockIdx.x * 32 + x;
    float sum = 0.0f;
    for (int k0 = 0; k0 < K; k0 += 32) {
        a[y][x] = row < M && k0 + x < K ? A[row * K + k0 + x] : 0.0f;
        b[y][x] = k0 + y < K && column < N ? B[(k0 + y) * N + column] : 0.0f;
        __syncthreads();
        for (int k = 0; k < 32; k++) sum += a[y][k] * b[k][x];
        __syncthreads();
    }
    if (row < M && column < N) C[row * N + column] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = (int)dims[0], N = (int)dims[1], K = (int)dims[2];
    dim3 grid((N + 31) / 32, (M + 31) / 32);
    product<<<grid, dim3(32, 32), 0, stream>>>((float *)buffers[0], (float *)buffers[1], (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
