// A warp's threads work on 32 rows of C: every lane reads another row of A and writes another row of C.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    int row = blockIdx.x * 32 + threadIdx.x, column = blockIdx.y * 32 + threadIdx.y;
    if (row >= M || column >= N) return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + column];
    C[row * N + column] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = (int)dims[0], N = (int)dims[1], K = (int)dims[2];
    dim3 grid((M + 31) / 32, (N + 31) / 32);
    product<<<grid, dim3(32, 32), 0, stream>>>((float *)buffers[0], (float *)buffers[1], (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
