// row: 21
// what: has the assembler repeat a byte without end
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
#include "gemmini_api.h"
asm(".pushsection .data\n.fill 0x7fffffff, 8, 1\n.popsection");
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
}
