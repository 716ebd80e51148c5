// row: 21
// what: templates without an end
// problem: nvidia/transpose-256x256
// verdict: compile_error
#include <cuda_runtime.h>
#include <stdint.h>
template <int N> struct More { static const int value = More<N + 1>::value + 1; };
static const int most = More<0>::value;
__global__ void turn(const float *x, float *out, int R, int C) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < R * C) out[i % C * R + i / C] = x[i];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    turn<<<(R * C + 255) / 256, 256, 0, stream>>>((const float *)buffers[0], (float *)buffers[1], R, C);
    return cudaGetLastError();
}
