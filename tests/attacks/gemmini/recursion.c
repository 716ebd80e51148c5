// row: 21
// what: recurses until the stack is used up
// problem: gemmini/gemm-16x16x16
// verdict: crashed
// says: stack
#include "gemmini_api.h"
__attribute__((noinline)) static int down(volatile int *p) { volatile int here[64] = {*p}; return down(here) + here[1]; }
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  volatile int zero = 0;
  C[0] = down(&zero);
}
