// row: 19
// what: multiplies what the kernel before it left in the scratchpad
// problem: gemmini/gemm-16x16x16
// verdict: crashed
// says: never written
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
}
