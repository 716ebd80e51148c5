// what: a warp per query, online softmax over the keys, sums in shared memory
// problem: nvidia/attention-2x64x32
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void attend(const float *q, const float *k, const float *v, float *out, int S, int D) {
    extern __shared__ float kept[];
    float *mine = kept + threadIdx.y * D;
    int s = blockIdx.x * blockDim.y + threadIdx.y, lane = threadIdx.x;
    int64_t head = (int64_t)blockIdx.y * S * D;
    for (int d = lane; d < D; d += 32) mine[d] = 0.0f;
    __syncwarp();
    if (s < S) {
        float most = -INFINITY, sum = 0.0f;
        for (int t = 0; t < S; t++) {
            float score = 0.0f;
            for (int d = lane; d < D; d += 32) score += q[head + s * D + d] * k[head + t * D + d];
            for (int by = 16; by; by /= 2) score += __shfl_xor_sync(0xffffffffu, score, by);
            score *= rsqrtf((float)D);
            float next = fmaxf(most, score), keep = expf(most - next), p = expf(score - next);
            for (int d = lane; d < D; d += 32) mine[d] = mine[d] * keep + p * v[head + t * D + d];
            sum = sum * keep + p;
            most = next;
        }
        for (int d = lane; d < D; d += 32) out[head + s * D + d] = mine[d] / sum;
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int B = dims[0], S = dims[1], D = dims[2];
    const float *q = (const float *)buffers[0], *k = (const float *)buffers[1], *v = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    attend<<<dim3((S + 3) / 4, B), dim3(32, 4), 4 * D * sizeof(float), stream>>>(q, k, v, out, S, D);
    return cudaGetLastError();
}
