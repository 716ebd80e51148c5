// what: one preload for all rows, then the same weights again
// problem: gemmini/gemm-64x64x64
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 64 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (int i = 0; i < M; i += 16)
    for (int k = 0; k < K; k += 16) mvin(A + i * K + k, i * 4 + k, 16, 16);
  for (int j = 0; j < N; j += 16) {
    for (int k = 0; k < K; k += 16) {
      mvin2(B + k * N + j, 8192 + k, 16, 16);
      for (int i = 0; i < M; i += 16) {
        preload(i ? NONE : 8192 + k, (k ? ACCADD : ACC) + i, 16, 16, 16, 16);
        if (i) compute_accumulated(i * 4 + k, NONE, 16, 16, 16, 16);
        else compute_preloaded(k, NONE, 16, 16, 16, 16);
      }
    }
    for (int i = 0; i < M; i += 16) mvout(C + i * N + j, ACC + i, 16, 16);
  }
}
