// row: 10
// what: stores a copy of A
// problem: gemmini/gemm-16x16x16
// verdict: wrong_result
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvout(C, 0, 16, 16);
}
