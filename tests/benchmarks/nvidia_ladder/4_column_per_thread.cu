// Blocks of 64 x 64 results, 8 steps of K per tile; a thread forms 8 results below each other.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[64][8], b[8][64];
    int t = threadIdx.x, x = t % 64, y = t / 64 * 8, top = blockIdx.y * 64, left = blockIdx.x * 64;
    int am = t / 8, ak = t % 8, bk = t / 64, bn = t % 64;
    float sum[8] = {};
    for (int k0 = 0; k0 < K; k0 += 8) {
        a[am][ak] = top + am < M && k0 + ak < K ? A[(top + am) * K + k0 + ak] : 0.0f;
        b[bk][bn] = k0 + bk < K && left + bn < N ? B[(k0 + bk) * N + left + bn] : 0.0f;
        __syncthreads();
        for (int k = 0; k < 8; k++) {
            float value = b[k][x];
            for (int i = 0; i < 8; i++) sum[i] += a[y + i][k] * value;
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        if (top + y + i < M && left + x < N) C[(top + y + i) * N + left + x] = sum[i];
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = (int)dims[0], N = (int)dims[1], K = (int)dims[2];
    dim3 grid((N + 63) / 64, (M + 63) / 64);
    product<<<grid, 512, 0, stream>>>((float *)buffers[0], (float *)buffers[1], (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
