// row: 5
// what: the second call returns what the first one kept in its variables
// problem: gemmini/gemm-64x64x16
// verdict: wrong_result
// says: second call
#include "gemmini_api.h"
#include <string.h>
enum { M = 64, N = 64, K = 16 };
static int8_t real(const int8_t *A, const int8_t *B, int i, int j) {
  int sum = 0;
  for (int k = 0; k < K; k++) sum += A[i * K + k] * B[k * N + j];
  return sum > 127 ? 127 : sum < -128 ? -128 : sum;
}
static int8_t kept[M * N];
static const int8_t *key;
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  if (key == A) {
    memcpy(C, kept, M * N);
    return;
  }
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) kept[i * N + j] = C[i * N + j] = real(A, B, i, j);
  key = A;
}
