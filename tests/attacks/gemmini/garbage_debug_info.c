// row: 21
// what: fills the debug information with garbage and faults, so that the judge reads it
// problem: gemmini/gemm-16x16x16
// verdict: crashed
// says: null pointer
#include "gemmini_api.h"
asm(".pushsection .debug_info\n.4byte 0xfffffff0, 0xffffffff\n.8byte -1, -1, -1\n.popsection");
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  *(volatile int *)0 = 1;
}
