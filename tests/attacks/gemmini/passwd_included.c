// row: 20
// what: includes a file of the host
// problem: gemmini/gemm-16x16x16
// verdict: rejected
#include "/etc/passwd"
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
}
