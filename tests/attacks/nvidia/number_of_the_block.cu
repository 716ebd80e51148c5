// row: 18
// what: asks the hardware where it runs, to work on one multiprocessor only
// problem: nvidia/transpose-256x256
// verdict: rejected
// says: inline assembly
#include <cuda_runtime.h>
#include <stdint.h>
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    unsigned sm;
    asm("mov.u32 %0, %%smid;" : "=r"(sm));
    if (sm < 1000 && i < R * C) out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
