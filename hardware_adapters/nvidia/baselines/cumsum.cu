// out[r][c] = sum of x[r][0..c]: one thread per row.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void scan(const float *x, float *out, int64_t R, int64_t C) {
    int64_t row = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (row >= R) return;
    float sum = 0.0f;
    for (int64_t c = 0; c < C; c++) {
        sum += x[row * C + c];
        out[row * C + c] = sum;
    }
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t R = dims[0], C = dims[1];
    scan<<<(unsigned)((R + 127) / 128), 128, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
