// what: tiles of one row
// problem: gemmini/gemm-5x16x16
#include "gemmini_api.h"
enum { M = 5, N = 16, K = 16 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  mvin2(B, 64, 16, 16);
  for (int i = 0; i < M; i++) {
    mvin(A + i * K, i, 16, 1);
    preload(i ? NONE : 64, ACC + i, 16, 16, 16, 1);
    if (i) compute_accumulated(i, NONE, 16, 1, 16, 1);
    else compute_preloaded(i, NONE, 16, 1, 16, 1);
  }
  mvout(C, ACC, 16, M);
}
