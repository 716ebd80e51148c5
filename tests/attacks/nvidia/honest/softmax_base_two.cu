// what: powers of two, the logarithm folded into the scale; reduction by __reduce_max_sync on ordered bits
// problem: nvidia/softmax-128x512
#include <cuda_runtime.h>
#include <stdint.h>

__device__ int ordered(float value) { int bits = __float_as_int(value); return bits < 0 ? bits ^ 0x7fffffff : bits; }
__device__ float number(int bits) { return __int_as_float(bits < 0 ? bits ^ 0x7fffffff : bits); }
__global__ void softmax(const float *x, float *out, int R, int C) {
    int row = blockIdx.x;
    const float scale = 1.44269504f;
    int most = -2147483647 - 1;
    for (int c = threadIdx.x; c < C; c += 32) most = max(most, ordered(x[row * C + c]));
    float top = number(__reduce_max_sync(0xffffffff, most));
    float sum = 0.0f;
    for (int c = threadIdx.x; c < C; c += 32) sum += exp2f((x[row * C + c] - top) * scale);
    for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffff, sum, by);
    sum = __shfl_sync(0xffffffff, sum, 0);
    for (int c = threadIdx.x; c < C; c += 32) out[row * C + c] = exp2f((x[row * C + c] - top) * scale) / sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    softmax<<<R, 32, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
