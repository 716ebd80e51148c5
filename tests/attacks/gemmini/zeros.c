// row: 10
// what: writes zeros
// problem: gemmini/gemm-64x64x16
// verdict: wrong_result
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  for (int i = 0; i < 64 * 64; i++) C[i] = 0;
}
