// row: 21
// what: never ends
// problem: gemmini/gemm-16x16x16
// verdict: timed_out
// says: endless
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  for (;;) asm volatile("");
}
