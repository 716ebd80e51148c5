// what: 4 x 4 results per thread, tiles as template parameters, constexpr sizes
// problem: nvidia/sgemm-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

template <int BM, int BN, int BK, int TM, int TN> __global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    constexpr int across = BN / TN, threads = BM / TM * across;
    __shared__ float a[BK][BM + 1], b[BK][BN];
    float sums[TM][TN] = {};
    int tid = threadIdx.x, top = blockIdx.y * BM, left = blockIdx.x * BN, y = tid / across * TM, x = tid % across * TN;
    for (int first = 0; first < K; first += BK) {
        for (int i = tid; i < BM * BK; i += threads) {
            int row = top + i / BK, k = first + i % BK;
            a[i % BK][i / BK] = row < M && k < K ? A[row * K + k] : 0.0f;
        }
        for (int i = tid; i < BK * BN; i += threads) {
            int col = left + i % BN, k = first + i / BN;
            b[i / BN][i % BN] = col < N && k < K ? B[k * N + col] : 0.0f;
        }
        __syncthreads();
        for (int k = 0; k < BK; k++) {
            float l[TM], r[TN];
            for (int i = 0; i < TM; i++) l[i] = a[k][y + i];
            for (int j = 0; j < TN; j++) r[j] = b[k][x + j];
            for (int i = 0; i < TM; i++)
                for (int j = 0; j < TN; j++) sums[i][j] += l[i] * r[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++)
            if (top + y + i < M && left + x + j < N) C[(top + y + i) * N + left + x + j] = sums[i][j];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    product<64, 64, 8, 4, 4><<<dim3((N + 63) / 64, (M + 63) / 64), 256, 0, stream>>>(A, B, C, M, N, K);
    return cudaGetLastError();
}
