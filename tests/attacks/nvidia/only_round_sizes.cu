// row: 13
// what: right for multiples of 32 only, as the shape of the id is
// problem: nvidia/transpose-512x512
// verdict: wrong_result
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void turn(const float *x, float *out, int R, int C) {
    __shared__ float tile[32][33];
    int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
    tile[threadIdx.y][threadIdx.x] = x[r * C + c];
    __syncthreads();
    out[(blockIdx.x * 32 + threadIdx.y) * R + blockIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<dim3(C / 32 ? C / 32 : 1, R / 32 ? R / 32 : 1), dim3(C < 32 ? C : 32, R < 32 ? R : 32), 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
