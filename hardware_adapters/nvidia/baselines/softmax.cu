// softmax schedule: {"row": "thread", "threads": 128, "passes": "three", "reduce": "tree", "vector": 1, "inverse": false, "restrict": false}
// out[r][c] = exp(x[r][c] - max of row r) / sum over the row: a thread per row, three passes.
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

__global__ void softmax(const float *x, float *out, int64_t R, int64_t C) {
    int64_t row = blockIdx.x * (int64_t)128 + threadIdx.x;
    if (row >= R) return;
    const float *in = x + row * C;
    float top = -INFINITY, sum = 0.0f;
    for (int64_t c = 0; c < C; c += 1) {
        top = fmaxf(top, in[c]);
    }
    for (int64_t c = 0; c < C; c += 1) {
        sum += expf(in[c] - top);
    }
    for (int64_t c = 0; c < C; c += 1) {
        out[row * C + c] = expf(in[c] - top) / sum;
    }
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t R = dims[0], C = dims[1];
    unsigned blocks = (unsigned)((R + 127) / 128);
    softmax<<<blocks, 128, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
