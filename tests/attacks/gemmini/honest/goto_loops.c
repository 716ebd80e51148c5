// what: loops made of goto, a switch in them
// problem: gemmini/gemm-32x32x32
#include "gemmini_api.h"
enum { M = 32, N = 32, K = 32 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  int i = 0, j = 0, k = 0, state = 0;
again:
  switch (state) {
  case 0:
    mvin(A + i * K + k, 0, 16, 16);
    mvin2(B + k * N + j, 16, 16, 16);
  case 1:
    preload(16, k ? ACCADD : ACC, 16, 16, 16, 16);
    compute_preloaded(0, NONE, 16, 16, 16, 16);
    if ((k += 16) < K) goto again;
    mvout(C + i * N + j, ACC, 16, 16);
  }
  k = 0;
  if ((j += 16) < N) goto again;
  j = 0;
  if ((i += 16) < M) goto again;
}
