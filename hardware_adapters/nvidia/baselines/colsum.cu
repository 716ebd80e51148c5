// out[c] = sum over r of x[r][c]: one thread per column.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void sums(const float *x, float *out, int64_t R, int64_t C) {
    int64_t column = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (column >= C) return;
    float sum = 0.0f;
    for (int64_t r = 0; r < R; r++) sum += x[r * C + column];
    out[column] = sum;
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t R = dims[0], C = dims[1];
    sums<<<(unsigned)((C + 127) / 128), 128, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
