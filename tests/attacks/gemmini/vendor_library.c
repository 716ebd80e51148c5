// row: 15
// what: calls the vendor's library
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
// says: tiled_matmul_auto
#include "gemmini_api.h"
void tiled_matmul_auto();
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  tiled_matmul_auto(16, 16, 16, A, B, 0, C, 16, 16, 16, 16);
}
