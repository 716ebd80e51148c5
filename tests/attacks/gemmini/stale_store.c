// row: 19
// what: reads sums back from memory before the store has arrived
// problem: gemmini/gemm-16x16x16-relu
// verdict: crashed
// says: fence
#include "gemmini_api.h"
static int32_t sums[256];
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(64);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvin(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
  mvout(sums, ACCFULL, 16, 16);
  for (int i = 0; i < 256; i++) C[i] = sums[i] > 127 ? 127 : sums[i] < 0 ? 0 : sums[i];
}
