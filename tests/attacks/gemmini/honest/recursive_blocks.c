// what: recursion over quarters of the result
// problem: gemmini/gemm-64x64x64
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 64 };
static void block(const int8_t *A, const int8_t *B, int8_t *C, int i, int j, int size) {
  if (size > 16) {
    for (int q = 0; q < 4; q++) block(A, B, C, i + (q >> 1) * size / 2, j + (q & 1) * size / 2, size / 2);
    return;
  }
  for (int k = 0; k < K; k += 16) {
    mvin(A + i * K + k, 0, 16, 16);
    mvin2(B + k * N + j, 16, 16, 16);
    preload(16, k ? ACCADD : ACC, 16, 16, 16, 16);
    compute_preloaded(0, NONE, 16, 16, 16, 16);
  }
  mvout(C + i * N + j, ACC, 16, 16);
}
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  block(A, B, C, 0, 0, 64);
}
