// what: scores, their softmax, and the product with the values: three launches over scratch memory
// problem: nvidia/attention-2x64x32
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void scores(const float *q, const float *k, float *p, int S, int D) {
    int t = blockIdx.x * 16 + threadIdx.x, s = blockIdx.y * 16 + threadIdx.y, b = blockIdx.z;
    if (s >= S || t >= S) return;
    float sum = 0.0f;
    for (int d = 0; d < D; d++) sum += q[(b * S + s) * D + d] * k[(b * S + t) * D + d];
    p[(b * S + s) * S + t] = sum / sqrtf((float)D);
}
__global__ void softmax(float *p, int rows, int S) {
    int row = blockIdx.x * 64 + threadIdx.x;
    if (row >= rows) return;
    float most = -1e30f, sum = 0.0f;
    for (int t = 0; t < S; t++) most = fmaxf(most, p[row * S + t]);
    for (int t = 0; t < S; t++) sum += p[row * S + t] = expf(p[row * S + t] - most);
    for (int t = 0; t < S; t++) p[row * S + t] /= sum;
}
__global__ void values(const float *p, const float *v, float *out, int S, int D) {
    int d = blockIdx.x * 16 + threadIdx.x, s = blockIdx.y * 16 + threadIdx.y, b = blockIdx.z;
    if (s >= S || d >= D) return;
    float sum = 0.0f;
    for (int t = 0; t < S; t++) sum += p[(b * S + s) * S + t] * v[(b * S + t) * D + d];
    out[(b * S + s) * D + d] = sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int B = dims[0], S = dims[1], D = dims[2];
    const float *q = (const float *)buffers[0], *k = (const float *)buffers[1], *v = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    float *p = (float *)buffers[4];
    dim3 block(16, 16);
    scores<<<dim3((S + 15) / 16, (S + 15) / 16, B), block, 0, stream>>>(q, k, p, S, D);
    softmax<<<(B * S + 63) / 64, 64, 0, stream>>>(p, B * S, S);
    values<<<dim3((D + 15) / 16, (S + 15) / 16, B), block, 0, stream>>>(p, v, out, S, D);
    return cudaGetLastError();
}
