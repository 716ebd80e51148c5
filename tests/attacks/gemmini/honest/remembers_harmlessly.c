// what: counts its calls and keeps a table that it checks
// problem: gemmini/gemm-16x16x16
#include "gemmini_api.h"
static int calls;
static uint32_t places[4];
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  if (!calls++)
    for (int i = 0; i < 4; i++) places[i] = 16 * i;
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, places[0], 16, 16);
  mvin(B, places[1], 16, 16);
  preload(places[1], ACC, 16, 16, 16, 16);
  compute_preloaded(places[0], NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
}
