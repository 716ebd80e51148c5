// what: maximum and sum in one pass, merged by shuffles
// problem: nvidia/softmax-128x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void softmax(const float *__restrict__ x, float *__restrict__ out, int R, int C) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= R) return;
    x += (int64_t)row * C, out += (int64_t)row * C;
    float most = -INFINITY, sum = 0.0f;
    for (int c = threadIdx.x; c < C; c += 32) {
        float value = x[c], next = fmaxf(most, value);
        sum = sum * __expf(most - next) + __expf(value - next);
        most = next;
    }
    for (int by = 16; by; by >>= 1) {
        float other = __shfl_xor_sync(~0u, most, by), theirs = __shfl_xor_sync(~0u, sum, by), next = fmaxf(most, other);
        sum = (most == next ? sum : sum * __expf(most - next)) + (other == next ? theirs : theirs * __expf(other - next));
        most = next;
    }
    float by = __fdividef(1.0f, sum);
    for (int c = threadIdx.x; c < C; c += 32) out[c] = __expf(x[c] - most) * by;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    softmax<<<(R + 7) / 8, dim3(32, 8), 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
