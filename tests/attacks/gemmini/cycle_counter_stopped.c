// row: 3
// what: stops the counters and does nothing else that counts
// problem: gemmini/gemm-16x16x300
// verdict: wrong_result
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  asm volatile("csrwi mcountinhibit, 7");
  for (int i = 0; i < 256; i++) C[i] = A[i] * B[0];
}
