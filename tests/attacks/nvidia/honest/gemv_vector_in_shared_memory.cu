// what: the vector in pieces in shared memory, rows of a block of odd size
// problem: nvidia/gemv-256x1024
#include <cuda_runtime.h>
#include <stdint.h>

template <int Piece> __global__ void product(const float *A, const float *v, float *y, int M, int N) {
    __shared__ float kept[Piece];
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f;
    for (int first = 0; first < N; first += Piece) {
        for (int n = threadIdx.x; n < Piece; n += blockDim.x) kept[n] = first + n < N ? v[first + n] : 0.0f;
        __syncthreads();
        if (row < M) for (int n = 0; n < Piece && first + n < N; n++) sum += A[row * N + first + n] * kept[n];
        __syncthreads();
    }
    if (row < M) y[row] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1];
    const float *A = (const float *)buffers[0], *v = (const float *)buffers[1];
    float *y = (float *)buffers[2];
    product<200><<<(M + 36) / 37, 37, 0, stream>>>(A, v, y, M, N);
    return cudaGetLastError();
}
