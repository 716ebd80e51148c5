// what: float4 where the width divides by four, plain loads elsewhere
// problem: nvidia/layernorm-128x512
#include <cuda_runtime.h>
#include <stdint.h>

template <int Width> struct Pack;
template <> struct Pack<1> { typedef float type; };
template <> struct Pack<4> { typedef float4 type; };
template <int Width> __global__ void norm(const float *x, const float *gain, const float *shift, float *out, int C) {
    typedef typename Pack<Width>::type Wide;
    __shared__ float sums[2][8];
    const Wide *row = reinterpret_cast<const Wide *>(x + (int64_t)blockIdx.x * C);
    float sum = 0.0f, squares = 0.0f;
    for (int c = threadIdx.x; c < C / Width; c += 256) {
        Wide kept = row[c];
        const float *parts = reinterpret_cast<const float *>(&kept);
#pragma unroll
        for (int i = 0; i < Width; i++) sum += parts[i];
    }
    for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(0xffffffff, sum, by);
    if (threadIdx.x % 32 == 0) sums[0][threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0.0f;
    for (int w = 0; w < 8; w++) sum += sums[0][w];
    float mean = sum / C;
    for (int c = threadIdx.x; c < C; c += 256) { float d = x[(int64_t)blockIdx.x * C + c] - mean; squares = fmaf(d, d, squares); }
    for (int by = 16; by; by /= 2) squares += __shfl_xor_sync(0xffffffff, squares, by);
    if (threadIdx.x % 32 == 0) sums[1][threadIdx.x / 32] = squares;
    __syncthreads();
    squares = 0.0f;
    for (int w = 0; w < 8; w++) squares += sums[1][w];
    float scale = 1.0f / sqrtf(squares / C + 1e-5f);
    for (int c = threadIdx.x; c < C; c += 256) out[(int64_t)blockIdx.x * C + c] = (x[(int64_t)blockIdx.x * C + c] - mean) * scale * gain[c] + shift[c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0], *gain = (const float *)buffers[1], *shift = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    if (C % 4 == 0) norm<4><<<R, 256, 0, stream>>>(x, gain, shift, out, C);
    else norm<1><<<R, 256, 0, stream>>>(x, gain, shift, out, C);
    return cudaGetLastError();
}
