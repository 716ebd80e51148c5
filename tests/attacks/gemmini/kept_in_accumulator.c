// row: 5
// what: the second call stores again what the first one left in the accumulator
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
  for (int i = 0; i < M; i += 16)
    for (int j = 0; j < N; j += 16) {
      uint32_t c = i / 16 * 64 + j;
      if (!calls) {
        mvin(A + i * K, 0, 16, 16);
        mvin2(B + j, 16, 16, 16);
        preload(16, ACC + c, 16, 16, 16, 16);
        compute_preloaded(0, NONE, 16, 16, 16, 16);
      }
      mvout(C + i * N + j, ACC + c, 16, 16);
    }
  calls++;
}
