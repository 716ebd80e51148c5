// what: steps in a table of functions
// problem: gemmini/gemm-64x64x64
#include "gemmini_api.h"
enum { M = 64, N = 64, K = 64 };
struct place { int i, j, k; };
typedef void step(const int8_t *A, const int8_t *B, int8_t *C, struct place p);
static void load(const int8_t *A, const int8_t *B, int8_t *C, struct place p) {
  mvin(A + p.i * K + p.k, 0, 16, 16);
  mvin2(B + p.k * N + p.j, 16, 16, 16);
}
static void multiply(const int8_t *A, const int8_t *B, int8_t *C, struct place p) {
  preload(16, p.k ? ACCADD : ACC, 16, 16, 16, 16);
  compute_preloaded(0, NONE, 16, 16, 16, 16);
}
static void store(const int8_t *A, const int8_t *B, int8_t *C, struct place p) {
  if (p.k == K - 16) mvout(C + p.i * N + p.j, ACC, 16, 16);
}
static step *const steps[] = {load, multiply, store};
void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(N);
  config_ld(K, 1.0f, 16, 0);
  config_ld(N, 1.0f, 16, 1);
  for (struct place p = {0}; p.i < M; p.i += 16)
    for (p.j = 0; p.j < N; p.j += 16)
      for (p.k = 0; p.k < K; p.k += 16)
        for (unsigned s = 0; s < sizeof steps / sizeof *steps; s++) steps[s](A, B, C, p);
}
