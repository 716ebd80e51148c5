// what: maxima, sums, quotients: three launches, intermediate results in device variables
// problem: nvidia/softmax-128x512
#include <cuda_runtime.h>
#include <stdint.h>

__device__ float maxima[1 << 16], totals[1 << 16];
__global__ void first(const float *x, int R, int C) {
    int row = blockIdx.x * 64 + threadIdx.x;
    if (row >= R) return;
    float most = x[row * C];
    for (int c = 1; c < C; c++) most = max(most, x[row * C + c]);
    maxima[row] = most;
}
__global__ void second(const float *x, int R, int C) {
    int row = blockIdx.x * 64 + threadIdx.x;
    if (row >= R) return;
    float sum = 0;
    for (int c = 0; c < C; c++) sum += expf(x[row * C + c] - maxima[row]);
    totals[row] = sum;
}
__global__ void third(const float *x, float *out, int n, int C) {
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) out[i] = expf(x[i] - maxima[i / C]) / totals[i / C];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    first<<<(R + 63) / 64, 64, 0, stream>>>(x, R, C);
    second<<<(R + 63) / 64, 64, 0, stream>>>(x, R, C);
    third<<<64, 256, 0, stream>>>(x, out, R * C, C);
    return cudaGetLastError();
}
