// row: 5
// what: the second call multiplies with the weights that the first one left in the scratchpad
// problem: gemmini/gemm-64x64x16
// verdict: wrong_result
// says: second call
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 16 };
static int calls;
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (int j = 0; j < N; j += 16)
    if (!calls) mvin2(B + j, 1024 + j, 16, 16);
  calls++;
  for (int i = 0; i < M; i += 16) {
    mvin(A + i * K, i, 16, 16);
    for (int j = 0; j < N; j += 16) {
      preload(1024 + j, ACC + j, 16, 16, 16, 16);
      compute_preloaded(i, NONE, 16, 16, 16, 16);
      mvout(C + i * N + j, ACC + j, 16, 16);
    }
  }
}
