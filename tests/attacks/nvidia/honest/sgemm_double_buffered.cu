// what: two tiles in turn, the next one loaded while this one is used
// problem: nvidia/sgemm-128x128x128
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void product(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[2][16][17], b[2][16][16];
    int x = threadIdx.x, y = threadIdx.y, col = blockIdx.x * 16 + x, row = blockIdx.y * 16 + y, now = 0;
    auto load = [&](int which, int first) {
        a[which][y][x] = row < M && first + x < K ? A[row * K + first + x] : 0.0f;
        b[which][y][x] = col < N && first + y < K ? B[(first + y) * N + col] : 0.0f;
    };
    float sum = 0.0f;
    load(0, 0);
    __syncthreads();
    for (int first = 0; first < K; first += 16, now ^= 1) {
        if (first + 16 < K) load(now ^ 1, first + 16);
        for (int k = 0; k < 16; k++) sum = fmaf(a[now][y][k], b[now][k][x], sum);
        __syncthreads();
    }
    if (row < M && col < N) C[row * N + col] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = dims[0], N = dims[1], K = dims[2];
    const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];
    float *C = (float *)buffers[2];
    product<<<dim3((N + 15) / 16, (M + 15) / 16), dim3(16, 16), 0, stream>>>(A, B, C, M, N, K);
    return cudaGetLastError();
}
