// y[M] = A[M][N] x v[N]: one thread per row.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *v, float *y, int64_t M, int64_t N) {
    int64_t row = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (row >= M) return;
    float sum = 0.0f;
    for (int64_t n = 0; n < N; n++) sum += A[row * N + n] * v[n];
    y[row] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t M = dims[0], N = dims[1];
    product<<<(unsigned)((M + 127) / 128), 128, 0, stream>>>((const float *)buffers[0], (const float *)buffers[1], (float *)buffers[2], M, N);
    return cudaGetLastError();
}
