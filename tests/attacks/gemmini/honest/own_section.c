// what: constants in a section of their own
// problem: gemmini/gemm-16x16x16
#include "gemmini_api.h"
static const uint32_t places[] __attribute__((section(".rodata.places"))) = {0, 16};
static uint32_t more __attribute__((section(".own"))) = 32;
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, more, 16, 16);
  mvin(B, places[1], 16, 16);
  preload(places[1], ACC, 16, 16, 16, 16);
  compute_preloaded(more, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
}
