// what: two buffers that change places, banks of their own
// problem: gemmini/gemm-64x64x64
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 64 };
static const uint32_t left[2] = {0, 4096}, right[2] = {8192, 12288}, sums[2] = {ACC, ACC + 512};
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  int now = 0, at = 0;
  for (int i = 0; i < M; i += 16)
    for (int j = 0; j < N; j += 16, at ^= 1) {
      for (int k = 0; k < K; k += 16, now ^= 1) {
        mvin(A + i * K + k, left[now], 16, 16);
        mvin2(B + k * N + j, right[now], 16, 16);
        preload(right[now], sums[at] | (k ? 0x40000000u : 0), 16, 16, 16, 16);
        compute_preloaded(left[now], NONE, 16, 16, 16, 16);
      }
      mvout(C + i * N + j, sums[at], 16, 16);
    }
}
