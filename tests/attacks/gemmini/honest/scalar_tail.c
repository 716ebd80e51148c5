// what: the accelerator for whole tiles, the processor for the last columns, without a fence
// problem: gemmini/gemm-16x20x16
#include "gemmini_api.h"
enum { M = 16, N = 20, K = 16 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  mvin(A, 0, 16, 16);
  mvin2(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
  for (int i = 0; i < M; i++)
    for (int j = 16; j < N; j++) {
      int sum = 0;
      for (int k = 0; k < K; k++) sum += A[i * K + k] * B[k * N + j];
      C[i * N + j] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
    }
}
