// what: stores A elsewhere, waits, and loads it from there
// problem: gemmini/gemm-16x16x16
#include "gemmini_api.h"
static int8_t copy[256];
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvout(copy, 0, 16, 16);
  fence();
  mvin(copy, 32, 16, 16);
  mvin(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(32, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
}
