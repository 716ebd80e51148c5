// row: 7
// what: leaves what the call before it wrote
// problem: gemmini/gemm-16x16x16
// verdict: wrong_result
// says: nothing was written
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  (void)A;
}
