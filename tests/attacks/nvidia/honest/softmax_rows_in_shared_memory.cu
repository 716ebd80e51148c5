// what: the row kept in dynamic shared memory, more than 48 KiB of it asked for
// problem: nvidia/softmax-128x512
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void __launch_bounds__(128) softmax(const float *x, float *out, int C) {
    extern __shared__ float kept[];
    float *part = kept + C;
    float most = -3.4e38f, sum = 0.0f;
    for (int c = threadIdx.x; c < C; c += 128) most = fmaxf(most, kept[c] = x[blockIdx.x * C + c]);
    part[threadIdx.x] = most;
    __syncthreads();
    for (int by = 64; by; by /= 2) {
        if (threadIdx.x < by) part[threadIdx.x] = fmaxf(part[threadIdx.x], part[threadIdx.x + by]);
        __syncthreads();
    }
    most = part[0];
    __syncthreads();
    for (int c = threadIdx.x; c < C; c += 128) sum += kept[c] = expf(kept[c] - most);
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int by = 64; by; by /= 2) {
        if (threadIdx.x < by) part[threadIdx.x] += part[threadIdx.x + by];
        __syncthreads();
    }
    for (int c = threadIdx.x; c < C; c += 128) out[blockIdx.x * C + c] = kept[c] / part[0];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    cudaFuncSetAttribute(softmax, cudaFuncAttributeMaxDynamicSharedMemorySize, 96 * 1024);
    softmax<<<R, 128, (C + 128) * sizeof(float), stream>>>(x, out, C);
    return cudaGetLastError();
}
