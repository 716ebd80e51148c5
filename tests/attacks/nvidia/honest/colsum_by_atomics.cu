// what: cudaMemsetAsync, then atomic additions
// problem: nvidia/colsum-256x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void sums(const float *x, float *out, int R, int C) {
    int c = blockIdx.x * 32 + threadIdx.x;
    if (c >= C) return;
    float sum = 0.0f;
    for (int r = blockIdx.y * 8 + threadIdx.y; r < R; r += gridDim.y * 8) sum += x[r * C + c];
    atomicAdd(out + c, sum);
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    cudaMemsetAsync(out, 0, C * sizeof(float), stream);
    sums<<<dim3((C + 31) / 32, 4), dim3(32, 8), 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
