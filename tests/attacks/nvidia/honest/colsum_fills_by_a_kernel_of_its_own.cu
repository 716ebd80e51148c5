// what: two launches, the first one only clears; static counter that is never used for anything
// problem: nvidia/colsum-256x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void clear(float *out, int C) { int c = threadIdx.x + blockIdx.x * blockDim.x; if (c < C) out[c] = 0.f; }
__global__ void sums(const float *x, float *out, int R, int C) {
    for (int c = threadIdx.x; c < C; c += blockDim.x) atomicAdd(&out[c], x[blockIdx.x * C + c]);
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    static int calls = 0;
    ++calls;
    clear<<<(C + 255) / 256, 256, 0, stream>>>(out, C);
    sums<<<R, 256, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
