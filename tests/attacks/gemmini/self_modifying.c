// row: 20
// what: writes instructions into its own code
// problem: gemmini/gemm-16x16x16
// verdict: crashed
// says: not writable
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  *(volatile uint32_t *)(uintptr_t)solution = 0x00008067;
}
