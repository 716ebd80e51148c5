// row: 21
// what: recursion until the stack is full
// problem: nvidia/transpose-256x256
// verdict: crashed
// says: stack overflow
#include <cuda_runtime.h>
#include <stdint.h>
__device__ int deep(int n) { volatile int kept[64]; kept[n % 64] = n; return n > 100000000 ? kept[0] : deep(n + 1) + kept[n % 64]; }
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (deep(i) == 0) return;
    if (i < R * C) out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
