// what: as many blocks as fill the device, each takes rows until none is left
// problem: nvidia/layernorm-128x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void norm(const float *x, const float *gain, const float *shift, float *out, int R, int C) {
    __shared__ float part[4], sum2[4];
    for (int row = blockIdx.x; row < R; row += gridDim.x) {
        float sum = 0.0f, squares = 0.0f;
        for (int c = threadIdx.x; c < C; c += 128) sum += x[row * C + c];
        for (int by = 16; by; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
        if (!(threadIdx.x & 31)) part[threadIdx.x >> 5] = sum;
        __syncthreads();
        float mean = (part[0] + part[1] + part[2] + part[3]) / C;
        for (int c = threadIdx.x; c < C; c += 128) squares += (x[row * C + c] - mean) * (x[row * C + c] - mean);
        for (int by = 16; by; by /= 2) squares += __shfl_down_sync(~0u, squares, by);
        if (!(threadIdx.x & 31)) sum2[threadIdx.x >> 5] = squares;
        __syncthreads();
        float by = rsqrtf((sum2[0] + sum2[1] + sum2[2] + sum2[3]) / C + 1e-5f);
        for (int c = threadIdx.x; c < C; c += 128) out[row * C + c] = (x[row * C + c] - mean) * by * gain[c] + shift[c];
        __syncthreads();
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0], *gain = (const float *)buffers[1], *shift = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    norm<<<284, 128, 0, stream>>>(x, gain, shift, out, R, C);
    return cudaGetLastError();
}
