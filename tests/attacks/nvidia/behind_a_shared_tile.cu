// row: 17
// what: takes data from behind its shared array
// problem: nvidia/transpose-256x256
// verdict: crashed
// says: out of bounds
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void tiled(const float *x, float *out, int R, int C) {
    __shared__ float tile[16 * 16];
    int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y, at = threadIdx.y * 17 + threadIdx.x;
    tile[at] = r < R && c < C ? x[r * C + c] : 0.0f;
    __syncthreads();
    if (r < R && c < C) out[c * R + r] = tile[at];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    tiled<<<dim3((C + 15) / 16, (R + 15) / 16), dim3(16, 16), 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
