// row: 21
// what: has the assembler write four gigabytes
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
#include "gemmini_api.h"
asm(".pushsection .data\n.zero 4000000000\n.popsection");
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
}
