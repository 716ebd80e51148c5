// row: 20
// what: claims to be a file of the host, so that a diagnostic quotes it
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
#include "gemmini_api.h"
#line 1 "/etc/passwd"
int wrong = "a warning here";
int worse =;
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
}
