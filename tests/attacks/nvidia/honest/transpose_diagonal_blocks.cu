// what: blocks numbered along diagonals, dynamic shared memory
// problem: nvidia/transpose-256x256
#include <cuda_runtime.h>
#include <stdint.h>

__global__ void turn(const float *x, float *out, int R, int C, int across) {
    extern __shared__ float tile[];
    int down = blockIdx.x / across, over = (blockIdx.x % across + down) % across;
    int c = over * 16 + threadIdx.x, r = down * 16 + threadIdx.y;
    if (r < R && c < C) tile[threadIdx.y * 17 + threadIdx.x] = x[r * C + c];
    __syncthreads();
    c = over * 16 + threadIdx.y, r = down * 16 + threadIdx.x;
    if (r < R && c < C) out[c * R + r] = tile[threadIdx.x * 17 + threadIdx.y];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    int across = (C + 15) / 16;
    turn<<<across * ((R + 15) / 16), dim3(16, 16), 16 * 17 * sizeof(float), stream>>>(x, out, R, C, across);
    return cudaGetLastError();
}
