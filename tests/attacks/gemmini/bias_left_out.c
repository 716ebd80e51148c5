// row: 11
// what: leaves the bias out
// problem: gemmini/gemm-32x32x32-bias
// verdict: wrong_result
#include "gemmini_api.h"
enum { M = 32, N = 32, K = 32 };
void solution(const int8_t *A, const int8_t *B, const int32_t *D, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (int i = 0; i < M; i += 16)
    for (int j = 0; j < N; j += 16) {
      for (int k = 0; k < K; k += 16) {
        mvin(A + i * K + k, 0, 16, 16);
        mvin2(B + k * N + j, 16, 16, 16);
        preload(16, k ? ACCADD : ACC, 16, 16, 16, 16);
        compute_preloaded(0, NONE, 16, 16, 16, 16);
      }
      mvout(C + i * N + j, ACC, 16, 16);
    }
}
