// what: keys split among the warps of a block, partial results merged at the end
// problem: nvidia/attention-2x64x32
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void attend(const float *q, const float *k, const float *v, float *out, int S, int D) {
    extern __shared__ float sums[];
    __shared__ float most[4], total[4];
    int warp = threadIdx.y, lane = threadIdx.x, s = blockIdx.x;
    const float *head_k = k + blockIdx.y * S * D, *head_v = v + blockIdx.y * S * D, *mine = q + (blockIdx.y * S + s) * D;
    float *made = sums + warp * D, top = -1e30f, sum = 0.0f;
    for (int d = lane; d < D; d += 32) made[d] = 0.0f;
    for (int t = warp; t < S; t += 4) {
        float score = 0.0f;
        for (int d = lane; d < D; d += 32) score += mine[d] * head_k[t * D + d];
        for (int by = 16; by; by >>= 1) score += __shfl_xor_sync(~0u, score, by);
        score *= rsqrtf((float)D);
        float next = fmaxf(top, score), keep = __expf(top - next), p = __expf(score - next);
        sum = sum * keep + p, top = next;
        for (int d = lane; d < D; d += 32) made[d] = made[d] * keep + p * head_v[t * D + d];
    }
    if (lane == 0) most[warp] = top, total[warp] = sum;
    __syncthreads();
    top = fmaxf(fmaxf(most[0], most[1]), fmaxf(most[2], most[3]));
    float all = 0.0f;
    for (int w = 0; w < 4; w++) all += total[w] * __expf(most[w] - top);
    for (int d = warp * 32 + lane; d < D; d += 128) {
        float value = 0.0f;
        for (int w = 0; w < 4; w++) value += sums[w * D + d] * __expf(most[w] - top);
        out[(blockIdx.y * S + s) * D + d] = value / all;
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int B = dims[0], S = dims[1], D = dims[2];
    const float *q = (const float *)buffers[0], *k = (const float *)buffers[1], *v = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    attend<<<dim3(S, B), dim3(32, 4), 4 * D * sizeof(float), stream>>>(q, k, v, out, S, D);
    return cudaGetLastError();
}
