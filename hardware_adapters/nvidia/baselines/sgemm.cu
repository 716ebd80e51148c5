// sgemm schedule: {"staged": false, "bm": 16, "bn": 16, "bk": 16, "tm": 1, "tn": 1, "turned": false, "pad": 0, "vector": 1, "reads": 1, "stages": 1, "unroll": false, "restrict": false}
// C[M][N] = A[M][K] x B[K][N]: one thread per element of C.
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
    int64_t across = (N + 15) / 16;  // blocks beside each other; grids are long in x only
    int64_t column = blockIdx.x % across * 16 + threadIdx.x;
    int64_t row = blockIdx.x / across * 16 + threadIdx.y;
    if (row >= M || column >= N) return;
    float sum = 0.0f;
    for (int64_t k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + column];
    C[row * N + column] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t M = dims[0], N = dims[1], K = dims[2];
    unsigned blocks = (unsigned)((N + 15) / 16 * ((M + 15) / 16));
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    product<<<blocks, dim3(16, 16), 0, stream>>>(A, B, (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
