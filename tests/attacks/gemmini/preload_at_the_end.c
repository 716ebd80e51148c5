// row: 21
// what: ends with a preload that has no compute
// problem: gemmini/gemm-16x16x16
// verdict: crashed
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvin(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
  preload(16, ACC + 16, 16, 16, 16, 16);
}
