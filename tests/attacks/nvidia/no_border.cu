// row: 12
// what: a convolution that leaves the images' border out
// problem: nvidia/dwconv3x3-2x4x64x64
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void convolve(const float *in, const float *weights, float *out, int total, int C, int H, int W) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= total) return;
    int x = i % W, y = i / W % H, plane = i / (W * H);
    if (x == 0 || y == 0 || x == W - 1 || y == H - 1) return;
    float sum = 0.0f;
    for (int a = 0; a < 3; a++) for (int b = 0; b < 3; b++) sum += in[(plane * H + y + a - 1) * W + x + b - 1] * weights[plane % C * 9 + a * 3 + b];
    out[i] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int total = dims[0] * dims[1] * dims[2] * dims[3];
    convolve<<<(total + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (const float *)buffers[1], (float *)buffers[2], total, (int)dims[1], (int)dims[2], (int)dims[3]);
    return cudaGetLastError();
}
