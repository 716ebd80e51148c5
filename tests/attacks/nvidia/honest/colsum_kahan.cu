// what: compensated sums
// problem: nvidia/colsum-256x512
#include <cuda_runtime.h>
#include <stdint.h>

struct Kahan {
    float sum, lost;
    __device__ Kahan() : sum(0.0f), lost(0.0f) {}
    __device__ void operator+=(float value) {
        float corrected = value - lost, next = sum + corrected;
        lost = (next - sum) - corrected;
        sum = next;
    }
};
__global__ void sums(const float *x, float *out, int R, int C) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    Kahan total;
    for (int r = 0; r < R; r++) total += x[r * C + c];
    out[c] = total.sum;
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    sums<<<(C + 31) / 32, 32, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
