// Blocks of 128 x 128 results, 8 steps of K per tile; a thread forms 8 x 8 neighbouring results.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void __launch_bounds__(256) product(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[128][8], b[8][128];
    int t = threadIdx.x, x = t % 16 * 8, y = t / 16 * 8, top = blockIdx.y * 128, left = blockIdx.x * 128;
    float sum[8][8] = {};
    for (int k0 = 0; k0 < K; k0 += 8) {
        for (int i = t; i < 1024; i += 256) {
            int am = i / 8, ak = i % 8, bk = i / 128, bn = i % 128;
            a[am][ak] = top + am < M && k0 + ak < K ? A[(top + am) * K + k0 + ak] : 0.0f;
            b[bk][bn] = k0 + bk < K && left + bn < N ? B[(k0 + bk) * N + left + bn] : 0.0f;
        }
        __syncthreads();
        for (int k = 0; k < 8; k++) {
            float left_values[8], right_values[8];
            for (int i = 0; i < 8; i++) left_values[i] = a[y + i][k];
            for (int j = 0; j < 8; j++) right_values[j] = b[k][x + j];
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < 8; j++) sum[i][j] += left_values[i] * right_values[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            if (top + y + i < M && left + x + j < N) C[(top + y + i) * N + left + x + j] = sum[i][j];
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = (int)dims[0], N = (int)dims[1], K = (int)dims[2];
    dim3 grid((N + 127) / 128, (M + 127) / 128);
    product<<<grid, 256, 0, stream>>>((float *)buffers[0], (float *)buffers[1], (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
