// what: a tile and its border in shared memory
// problem: nvidia/dwconv3x3-2x4x64x64
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void convolve(const float *x, const float *weights, float *out, int C, int H, int W) {
    __shared__ float tile[10][34];
    int plane = blockIdx.z, left = blockIdx.x * 32 - 1, top = blockIdx.y * 8 - 1;
    for (int i = threadIdx.y * 32 + threadIdx.x; i < 340; i += 256) {
        int column = left + i % 34, row = top + i / 34;
        tile[i / 34][i % 34] = row >= 0 && row < H && column >= 0 && column < W ? x[(plane * H + row) * W + column] : 0.0f;
    }
    __syncthreads();
    int column = left + 1 + threadIdx.x, row = top + 1 + threadIdx.y;
    if (row >= H || column >= W) return;
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 3; i++)
#pragma unroll
        for (int j = 0; j < 3; j++) sum += tile[threadIdx.y + i][threadIdx.x + j] * weights[plane % C * 9 + i * 3 + j];
    out[(plane * H + row) * W + column] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int N = dims[0], C = dims[1], H = dims[2], W = dims[3];
    const float *x = (const float *)buffers[0], *w = (const float *)buffers[1];
    float *out = (float *)buffers[2];
    convolve<<<dim3((W + 31) / 32, (H + 7) / 8, N * C), dim3(32, 8), 0, stream>>>(x, w, out, C, H, W);
    return cudaGetLastError();
}
