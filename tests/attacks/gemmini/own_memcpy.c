// row: 16
// what: overrides a function of the runtime and expects others to call it
// problem: gemmini/gemm-16x16x16
// verdict: wrong_result
#include "gemmini_api.h"
#include <string.h>
void *memset(void *to, int byte, size_t bytes) { for (size_t i = 0; i < bytes; i++) ((char *)to)[i] = 7; return to; }
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  memset(C, 0, 256);
}
