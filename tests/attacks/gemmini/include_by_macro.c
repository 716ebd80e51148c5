// row: 20
// what: names the header in a macro
// problem: gemmini/gemm-16x16x16
// verdict: rejected
#define FILE_OF_THE_HOST "/etc/shadow"
#include FILE_OF_THE_HOST
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
}
