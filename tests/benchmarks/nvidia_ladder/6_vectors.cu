// As before, with global memory and both tiles accessed by float4, and the tile of A kept transposed.
#include <cuda_runtime.h>
#include <stdint.h>

__device__ float4 load4(const float *row, int c, int width, bool inside) {
    if (inside && c + 3 < width && width % 4 == 0) return *reinterpret_cast<const float4 *>(row + c);
    float v[4];
    for (int i = 0; i < 4; i++) v[i] = inside && c + i < width ? row[c + i] : 0.0f;
    return make_float4(v[0], v[1], v[2], v[3]);
}

__global__ void __launch_bounds__(256) product(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ __align__(16) float a[8][128], b[8][128];
    int t = threadIdx.x, x = t % 16 * 8, y = t / 16 * 8, top = blockIdx.y * 128, left = blockIdx.x * 128;
    int am = t / 2, ak = t % 2 * 4, bk = t / 32, bn = t % 32 * 4;
    float sum[8][8] = {};
    for (int k0 = 0; k0 < K; k0 += 8) {
        float4 u = load4(A + (top + am) * K, k0 + ak, K, top + am < M);
        a[ak][am] = u.x, a[ak + 1][am] = u.y, a[ak + 2][am] = u.z, a[ak + 3][am] = u.w;
        *reinterpret_cast<float4 *>(&b[bk][bn]) = load4(B + (k0 + bk) * N, left + bn, N, k0 + bk < K);
        __syncthreads();
        for (int k = 0; k < 8; k++) {
            float left_values[8], right_values[8];
            for (int i = 0; i < 8; i += 4) {
                *reinterpret_cast<float4 *>(&left_values[i]) = *reinterpret_cast<const float4 *>(&a[k][y + i]);
                *reinterpret_cast<float4 *>(&right_values[i]) = *reinterpret_cast<const float4 *>(&b[k][x + i]);
            }
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < 8; j++) sum[i][j] += left_values[i] * right_values[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j += 4) {
            int row = top + y + i, column = left + x + j;
            if (row < M && column + 3 < N && N % 4 == 0)
                *reinterpret_cast<float4 *>(C + row * N + column) =
                    make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);
            else
                for (int n = 0; n < 4; n++)
                    if (row < M && column + n < N) C[row * N + column + n] = sum[i][j + n];
        }
    }
}

extern "C" int launch(void **buffers, const int64_t *dims, cudaStream_t stream) {
    int M = (int)dims[0], N = (int)dims[1], K = (int)dims[2];
    dim3 grid((N + 127) / 128, (M + 127) / 128);
    product<<<grid, 256, 0, stream>>>((float *)buffers[0], (float *)buffers[1], (float *)buffers[2], M, N, K);
    return cudaGetLastError();
}
