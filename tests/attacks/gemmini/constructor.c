// row: 3
// what: does the work in a constructor, before the clock runs
// problem: gemmini/gemm-16x16x16
// verdict: wrong_result
#include "gemmini_api.h"
static int8_t made[256];
__attribute__((constructor)) static void early(void) { for (int i = 0; i < 256; i++) made[i] = i; }
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  for (int i = 0; i < 256; i++) C[i] = made[i];
}
