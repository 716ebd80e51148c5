// row: 20
// what: runs instructions out of a variable
// problem: gemmini/gemm-16x16x16
// verdict: crashed
// says: jump
#include "gemmini_api.h"
static uint32_t code[] = {0x00008067};
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  asm volatile("fence.i");
  ((void (*)(void))(uintptr_t)code)();
}
