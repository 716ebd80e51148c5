// row: 20
// what: puts the name of the directive together in the assembler
// problem: gemmini/gemm-16x16x16
// verdict: rejected
#include "gemmini_api.h"
asm(".macro read what\n.inc\\what \"/etc/passwd\"\n.endm\nread bin");
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
}
