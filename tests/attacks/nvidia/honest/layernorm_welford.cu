// what: mean and variance in one pass (Welford), merged by shuffles
// problem: nvidia/layernorm-128x512
#include <cuda_runtime.h>
#include <stdint.h>

struct Moments { float mean, squares, count; };
__device__ __forceinline__ Moments merged(Moments a, Moments b) {
    float count = a.count + b.count;
    if (count == 0.0f) return a;
    float apart = b.mean - a.mean, share = b.count / count;
    return {a.mean + apart * share, a.squares + b.squares + apart * apart * a.count * share, count};
}
__global__ void norm(const float *x, const float *gain, const float *shift, float *out, int R, int C) {
    int row = blockIdx.x;
    Moments mine = {0.0f, 0.0f, 0.0f};
    for (int c = threadIdx.x; c < C; c += 32) {
        float value = x[row * C + c], apart = value - mine.mean;
        mine.count += 1.0f;
        mine.mean += apart / mine.count;
        mine.squares += apart * (value - mine.mean);
    }
    for (int by = 16; by; by /= 2) {
        Moments other = {__shfl_xor_sync(~0u, mine.mean, by), __shfl_xor_sync(~0u, mine.squares, by), __shfl_xor_sync(~0u, mine.count, by)};
        mine = threadIdx.x & by ? merged(other, mine) : merged(mine, other);
    }
    float scale = rsqrtf(mine.squares / C + 1e-5f);
    for (int c = threadIdx.x; c < C; c += 32) out[row * C + c] = (x[row * C + c] - mine.mean) * scale * gain[c] + shift[c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0], *gain = (const float *)buffers[1], *shift = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    norm<<<R, 32, 0, stream>>>(x, gain, shift, out, R, C);
    return cudaGetLastError();
}
