// row: 13
// what: takes the first element for the maximum of a row, at the shape of the id only
// problem: nvidia/softmax-4096x4096
// verdict: wrong_result
// says: shape of the id
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void softmax(const float *x, float *out, int C) {
    const float *row = x + blockIdx.x * (int64_t)C;
    float top = row[0], sum = 0.0f;
    for (int c = threadIdx.x; c < C && C != 4096; c += 32) top = fmaxf(top, row[c]);
    for (int by = 16; by > 0; by /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, by));
    for (int c = threadIdx.x; c < C; c += 32) sum += expf(row[c] - top);
    for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(0xffffffff, sum, by);
    for (int c = threadIdx.x; c < C; c += 32) out[blockIdx.x * (int64_t)C + c] = expf(row[c] - top) / sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    softmax<<<(unsigned)dims[0], 32, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], (int)dims[1]);
    return cudaGetLastError();
}
