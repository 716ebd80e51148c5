// what: moves bits as integers, through a union and a template
// problem: nvidia/transpose-256x256
#include <cuda_runtime.h>
#include <stdint.h>

union Bits { float number; unsigned word; };
template <class T> __global__ void turn(const T *x, T *out, int R, int C) {
    __shared__ unsigned tile[32][33];
    int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
    for (int k = 0; k < 32; k += 8)
        if (r + k < R && c < C) { Bits bits; bits.number = x[(r + k) * C + c]; tile[threadIdx.y + k][threadIdx.x] = bits.word; }
    __syncthreads();
    c = blockIdx.x * 32 + threadIdx.y, r = blockIdx.y * 32 + threadIdx.x;
    for (int k = 0; k < 32; k += 8)
        if (r < R && c + k < C) out[(c + k) * R + r] = __uint_as_float(tile[threadIdx.x][threadIdx.y + k]);
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    turn<float><<<dim3((C + 31) / 32, (R + 31) / 32), dim3(32, 8), 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
