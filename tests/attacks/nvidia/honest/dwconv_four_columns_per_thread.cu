// what: four results per thread, clamped loads and factors of zero instead of branches
// problem: nvidia/dwconv3x3-2x4x64x64
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void convolve(const float *__restrict__ x, const float *__restrict__ weights, float *__restrict__ out, int total, int C, int H, int W) {
    int across = (W + 3) / 4;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < total / W * across; i += gridDim.x * blockDim.x) {
        int first = i % across * 4, row = i / across % H, plane = i / across / H;
        float sums[4] = {};
        for (int a = -1; a <= 1; a++) {
            float inside = row + a >= 0 && row + a < H ? 1.0f : 0.0f;
            const float *line = x + (plane * H + min(max(row + a, 0), H - 1)) * W;
            for (int b = -1; b < 5; b++) {
                int column = first + b;
                float value = line[min(max(column, 0), W - 1)] * (column >= 0 && column < W ? inside : 0.0f);
                for (int o = 0; o < 4; o++) if (b - o >= -1 && b - o <= 1) sums[o] += value * weights[plane % C * 9 + (a + 1) * 3 + b - o + 1];
            }
        }
        for (int o = 0; o < 4 && first + o < W; o++) out[(plane * H + row) * W + first + o] = sums[o];
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int N = dims[0], C = dims[1], H = dims[2], W = dims[3];
    const float *x = (const float *)buffers[0], *w = (const float *)buffers[1];
    float *out = (float *)buffers[2];
    int total = N * C * H * W;
    convolve<<<64, 96, 0, stream>>>(x, w, out, total, C, H, W);
    return cudaGetLastError();
}
