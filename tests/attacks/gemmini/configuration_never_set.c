// row: 19
// what: relies on the configuration of the kernel before it
// problem: gemmini/gemm-16x16x16
// verdict: crashed
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  mvin(A, 0, 16, 16);
  mvout(C, 0, 16, 16);
}
