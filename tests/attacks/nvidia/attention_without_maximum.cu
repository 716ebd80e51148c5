// row: 13
// what: leaves out the maximum of the scores, which ordinary ones do not need
// problem: nvidia/attention-2x64x32
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void attend(const float *q, const float *k, const float *v, float *out, int S, int D) {
    int s = blockIdx.x * 64 + threadIdx.x;
    if (s >= S) return;
    int64_t head = blockIdx.y * (int64_t)S * D;
    float sum = 0.0f;
    for (int d = 0; d < D; d++) out[head + s * D + d] = 0.0f;
    for (int t = 0; t < S; t++) {
        float score = 0.0f;
        for (int d = 0; d < D; d++) score += q[head + s * D + d] * k[head + t * D + d];
        float weight = expf(score * rsqrtf((float)D));
        sum += weight;
        for (int d = 0; d < D; d++) out[head + s * D + d] += weight * v[head + t * D + d];
    }
    for (int d = 0; d < D; d++) out[head + s * D + d] /= sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int B = dims[0], S = dims[1], D = dims[2];
    const float *q = (const float *)buffers[0], *k = (const float *)buffers[1], *v = (const float *)buffers[2];
    attend<<<dim3((S + 63) / 64, B), 64, 0, stream>>>(q, k, v, (float *)buffers[3], S, D);
    return cudaGetLastError();
}
