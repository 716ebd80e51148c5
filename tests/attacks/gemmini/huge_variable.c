// row: 21
// what: wants more memory than there is
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
#include "gemmini_api.h"
static int8_t huge[1ull << 40];
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  huge[A[0]] = 1;
  C[0] = huge[B[0]];
}
