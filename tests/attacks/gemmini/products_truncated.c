// row: 14
// what: sums the high halves of the operands only
// problem: gemmini/gemm-32x32x32
// verdict: wrong_result
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  for (int i = 0; i < 32; i++)
    for (int j = 0; j < 32; j++) {
      int sum = 0;
      for (int k = 0; k < 32; k++) sum += (A[i * 32 + k] & ~3) * (B[k * 32 + j] & ~3);
      C[i * 32 + j] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
    }
}
