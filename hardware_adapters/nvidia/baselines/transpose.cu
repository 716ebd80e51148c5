// out[c][r] = x[r][c]: one thread per element.
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void transpose(const float *x, float *out, int64_t R, int64_t C) {
    int64_t c = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    int64_t r = blockIdx.y * (int64_t)blockDim.y + threadIdx.y;
    if (r < R && c < C) out[c * R + r] = x[r * C + c];
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int64_t R = dims[0], C = dims[1];
    dim3 block(32, 8);
    dim3 grid((unsigned)((C + 31) / 32), (unsigned)((R + 7) / 8));
    transpose<<<grid, block, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
