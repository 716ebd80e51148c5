// what: sums in the array
// problem: gemmini/gemm-32x32x32
#include "gemmini_api.h"
enum { M = 32, N = 32, K = 32 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(OS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (int i = 0; i < M; i += 16)
    for (int j = 0; j < N; j += 16) {
      for (int k = 0; k < K; k += 16) {
        mvin(A + i * K + k, k, 16, 16);
        mvin2(B + k * N + j, 64 + k, 16, 16);
        preload(NONE, k ? ACCADD : ACC, 16, 16, 16, 16);
        compute_preloaded(k, 64 + k, 16, 16, 16, 16);
      }
      mvout(C + i * N + j, ACC, 16, 16);
    }
}
