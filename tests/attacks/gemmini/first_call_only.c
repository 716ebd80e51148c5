// row: 6
// what: works in the first call and returns at once in the second
// problem: gemmini/gemm-16x16x16
// verdict: wrong_result
#include "gemmini_api.h"
static int calls;
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  if (calls++) return;
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvin(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
}
