// row: 10
// what: stores a copy of B
// problem: gemmini/gemm-64x64x16
// verdict: wrong_result
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 16 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  for (int i = 0; i < M * N; i++) C[i] = B[i % (K * N)];
}
