// what: a thread per row, doubles, a struct of pointers as the parameter
// problem: nvidia/layernorm-128x512
#include <cuda_runtime.h>
#include <stdint.h>

struct Given { const float *x, *gain, *shift; float *out; int R, C; };
__global__ void norm(Given given) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= given.R) return;
    const float *x = given.x + row * given.C;
    double mean = 0, variance = 0;
    for (int c = 0; c < given.C; c++) mean += x[c];
    mean /= given.C;
    for (int c = 0; c < given.C; c++) variance += (x[c] - mean) * (x[c] - mean);
    double by = 1.0 / sqrt(variance / given.C + 1e-5);
    for (int c = 0; c < given.C; c++) given.out[row * given.C + c] = (float)((x[c] - mean) * by) * given.gain[c] + given.shift[c];
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0], *gain = (const float *)buffers[1], *shift = (const float *)buffers[2];
    float *out = (float *)buffers[3];
    Given given = {x, gain, shift, out, R, C};
    norm<<<(R + 63) / 64, 64, 0, stream>>>(given);
    return cudaGetLastError();
}
