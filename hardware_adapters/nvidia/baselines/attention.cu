// out[b][s] = softmax over t of (q[b][s] . k[b][t] / sqrt(D)) times v[b][t]: one thread per position s, which works out its
// scores twice, for their maximum and for the result.
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

__device__ float score(const float *q, const float *k, int64_t D, float scale) {
    float sum = 0.0f;
    for (int64_t d = 0; d < D; d++) sum += q[d] * k[d];
    return sum * scale;
}

__global__ void attend(const float *q, const float *k, const float *v, float *out, int64_t S, int64_t D) {
    int64_t s = blockIdx.x * (int64_t)blockDim.x + threadIdx.x, b = blockIdx.y;
    if (s >= S) return;
    const float *query = q + (b * S + s) * D, *keys = k + b * S * D, *values = v + b * S * D;
    float *result = out + (b * S + s) * D;
    float scale = 1.0f / sqrtf((float)D), top = -INFINITY, sum = 0.0f;
    for (int64_t d = 0; d < D; d++) result[d] = 0.0f;
    for (int64_t t = 0; t < S; t++) top = fmaxf(top, score(query, keys + t * D, D, scale));
    for (int64_t t = 0; t < S; t++) {
        float weight = expf(score(query, keys + t * D, D, scale) - top);
        sum += weight;
        for (int64_t d = 0; d < D; d++) result[d] += weight * values[t * D + d];
    }
    for (int64_t d = 0; d < D; d++) result[d] /= sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t B = dims[0], S = dims[1], D = dims[2];
    dim3 grid((unsigned)((S + 63) / 64), (unsigned)B);
    attend<<<grid, 64, 0, stream>>>(
        (const float *)buffers[0], (const float *)buffers[1], (const float *)buffers[2], (float *)buffers[3], S, D);
    return cudaGetLastError();
}
