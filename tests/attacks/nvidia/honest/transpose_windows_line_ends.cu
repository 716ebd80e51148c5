// what: a macro of several lines, line ends of another system, comments with quotes and <<<
// problem: nvidia/transpose-256x256
// it's a "kernel" <<< with an odd comment
#include <cuda_runtime.h>
#include <stdint.h>
#define MOVE(from, to)     \
    if (i < R * C) {       \
        to = from;         \
    }
/* turn<<<1, 1>>>(0); "a string that does not end */
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x; // don't
    MOVE(x[i], out[i % C * R + i / C])
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
