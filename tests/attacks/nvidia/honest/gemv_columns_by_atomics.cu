// what: blocks over parts of the columns, atomic additions in doubles on scratch, then a copy
// problem: nvidia/gemv-256x1024
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void zero(double *sums, int M) { if (blockIdx.x * 64 + threadIdx.x < M) sums[blockIdx.x * 64 + threadIdx.x] = 0.0; }
__global__ void part(const float *A, const float *v, double *sums, int M, int N) {
    int row = blockIdx.x * 64 + threadIdx.x, first = blockIdx.y * 128;
    if (row >= M) return;
    double sum = 0;
    for (int n = first; n < min(N, first + 128); n++) sum += (double)A[row * N + n] * v[n];
    atomicAdd(&sums[row], sum);
}
__global__ void narrow(const double *sums, float *y, int M) { int i = blockIdx.x * 64 + threadIdx.x; if (i < M) y[i] = __double2float_rn(sums[i]); }
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1];
    const float *A = (const float *)buffers[0], *v = (const float *)buffers[1];
    float *y = (float *)buffers[2];
    double *sums = (double *)buffers[3];
    int rows = (M + 63) / 64;
    zero<<<rows, 64, 0, stream>>>(sums, M);
    part<<<dim3(rows, (N + 127) / 128), 64, 0, stream>>>(A, v, sums, M, N);
    narrow<<<rows, 64, 0, stream>>>(sums, y, M);
    return cudaGetLastError();
}
