// what: reads the cycle counter and the accelerator's counters, and does nothing with them
// problem: gemmini/gemm-16x16x16
#include "gemmini_api.h"
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  uint64_t began, ended;
  asm volatile("rdcycle %0" : "=r"(began));
  counter_reset();
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(16);
  config_ld(16, 1.0f, 16, 0);
  mvin(A, 0, 16, 16);
  mvin(B, 16, 16, 16);
  preload(16, ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
  mvout(C, ACC, 16, 16);
  asm volatile("rdcycle %0" : "=r"(ended));
  volatile uint64_t taken = ended - began;
  (void)taken;
}
