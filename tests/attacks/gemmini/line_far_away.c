// row: 21
// what: faults in a line that does not exist
// problem: gemmini/gemm-16x16x16
// verdict: crashed
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  asm volatile(".loc 1 4000000000 1");
  *(volatile int *)0 = 1;
}
