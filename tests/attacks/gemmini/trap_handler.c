// row: 4
// what: installs a handler of its own and provokes a trap, to go on in another mode
// problem: gemmini/gemm-16x16x16
// verdict: crashed
#include "gemmini_api.h"
__attribute__((aligned(4))) static void handler(void) { asm volatile("mret"); }
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  asm volatile("csrw mtvec, %0" ::"r"(handler));
  asm volatile("ebreak");
}
