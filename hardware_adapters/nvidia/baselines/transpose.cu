// transpose schedule: {"staged": false, "tile": 32, "banks": "none", "vector": 1, "threads": 256, "rows": 1, "ahead": false, "restrict": false}
// out[c][r] = x[r][c]: neighbouring threads read a row.
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

__global__ void transpose(const float *x, float *out, int64_t R, int64_t C) {
    int64_t across = (C + 31) / 32;  // blocks beside each other; grids are long in x only
    int64_t c = blockIdx.x % across * 32 + threadIdx.x;
    int64_t r = blockIdx.x / across * 8 + threadIdx.y;
    if (r < R && c < C) out[c * R + r] = x[r * C + c];
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t R = dims[0], C = dims[1];
    unsigned blocks = (unsigned)((C + 31) / 32 * ((R + 7) / 8));
    transpose<<<blocks, dim3(32, 8), 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
