// what: loads of four blocks at once
// problem: gemmini/gemm-64x64x64
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 64 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (int k = 0; k < K; k += 16) mvin2(B + k * N, 4096 + k * 4, 64, 16);
  for (int i = 0; i < M; i += 16) {
    mvin(A + i * K, 0, 64, 16);
    for (int j = 0; j < 4; j++)
      for (int k = 0; k < 4; k++) {
        preload(4096 + k * 64 + j * 16, (k ? ACCADD : ACC) + j * 16, 16, 16, 16, 16);
        compute_preloaded(k * 16, NONE, 16, 16, 16, 16);
      }
    for (int j = 0; j < 4; j++) mvout(C + i * N + j * 16, ACC + j * 16, 16, 16);
  }
}
