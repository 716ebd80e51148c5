// what: the vendor's hardware loop
// problem: gemmini/gemm-48x32x80
#include "gemmini_api.h"
enum { M = 48, N = 32, K = 80 };
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st_ext(N, NOACT, 1.0f);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  gemmini_loop_ws(3, 2, 5, 0, 0, 0, A, B, NULL, C, K, N, 0, N, 0, 0, 0, 0, 0, NOACT, 0, 0, 0);
}
