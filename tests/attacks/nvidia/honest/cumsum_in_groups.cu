// what: cooperative groups: a scan over a tile of a warp
// problem: nvidia/cumsum-128x512
#include <cuda_runtime.h>
#include <cooperative_groups.h>
#include <cooperative_groups/scan.h>
#include <stdint.h>

namespace cg = cooperative_groups;
__global__ void scan(const float *x, float *out, int R, int C) {
    auto tile = cg::tiled_partition<32>(cg::this_thread_block());
    int row = blockIdx.x * tile.meta_group_size() + tile.meta_group_rank();
    if (row >= R) return;
    float carry = 0.0f;
    for (int first = 0; first < C; first += 32) {
        int c = first + tile.thread_rank();
        float sum = carry + cg::inclusive_scan(tile, c < C ? x[row * C + c] : 0.0f, cg::plus<float>());
        if (c < C) out[row * C + c] = sum;
        carry = tile.shfl(sum, 31);
    }
}
extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int R = dims[0], C = dims[1];
    const float *x = (const float *)buffers[0];
    float *out = (float *)buffers[1];
    scan<<<(R + 1) / 2, 64, 0, stream>>>(x, out, R, C);
    return cudaGetLastError();
}
