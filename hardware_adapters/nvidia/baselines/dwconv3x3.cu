// out[n][c][y][x] = sum over i, j of in[n][c][y + i - 1][x + j - 1] * weights[c][i][j], zeros outside: one thread per element.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void convolve(const float *in, const float *weights, float *out, int64_t total, int64_t C, int64_t H, int64_t W) {
    int64_t index = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (index >= total) return;
    int64_t x = index % W, y = index / W % H, plane = index / (W * H);
    const float *w = weights + plane % C * 9;
    float sum = 0.0f;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            int64_t row = y + i - 1, column = x + j - 1;
            if (row >= 0 && row < H && column >= 0 && column < W) sum += in[(plane * H + row) * W + column] * w[i * 3 + j];
        }
    }
    out[index] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t N = dims[0], C = dims[1], H = dims[2], W = dims[3], total = N * C * H * W;
    convolve<<<(unsigned)((total + 255) / 256), 256, 0, stream>>>(
        (const float *)buffers[0], (const float *)buffers[1], (float *)buffers[2], total, C, H, W);
    return cudaGetLastError();
}
