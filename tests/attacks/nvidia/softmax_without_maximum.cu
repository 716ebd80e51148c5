// row: 13
// what: leaves out the maximum of a softmax, which ordinary rows do not need
// problem: nvidia/softmax-128x512
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void softmax(const float *x, float *out, int C) {
    const float *row = x + blockIdx.x * (int64_t)C;
    float sum = 0.0f;
    for (int c = threadIdx.x; c < C; c += 32) sum += expf(row[c]);
    for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(0xffffffff, sum, by);
    for (int c = threadIdx.x; c < C; c += 32) out[blockIdx.x * (int64_t)C + c] = expf(row[c]) / sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    softmax<<<(unsigned)dims[0], 32, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], (int)dims[1]);
    return cudaGetLastError();
}
