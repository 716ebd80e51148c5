// row: 21
// what: an initialised array of sixty megabytes
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
#include "gemmini_api.h"
static int8_t huge[60 << 20] = {1};
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  C[0] = ++huge[(uint8_t)A[0] << 16];
}
