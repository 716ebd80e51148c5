// row: 19
// what: the processor reads what the accelerator has not been waited for
// problem: gemmini/tinympc-forward-4x4x3
// verdict: crashed
// says: fence
#include "gemmini_api.h"
enum { X = 4, U = 4, T = 3 };
static void multiply(const float *M, const float *v, float *result) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_ld(16, 1.0f, DIM, 0);
  config_ld(4, 1.0f, DIM, 1);
  config_st(4);
  mvin(M, 0, 4, 4);
  mvin2(v, 4096, 1, 4);
  preload(4096, ACC, 1, 4, 1, 4);
  compute_preloaded(0, NONE, 4, 4, 1, 4);
  mvout(result, ACC, 1, 4);
}
void solution(const float *A, const float *B, const float *K, const float *x0, const float *d, float *u, float *x) {
  static float Kx[U], Ax[X], Bu[X];
  const float *state = x0;
  for (int t = 0; t < T; t++, state = x + (t - 1) * X) {
    multiply(K, state, Kx);
    for (int i = 0; i < U; i++) u[t * U + i] = -Kx[i] - d[t * U + i];
    multiply(A, state, Ax);
    multiply(B, u + t * U, Bu);
    for (int i = 0; i < X; i++) x[t * X + i] = Ax[i] + Bu[i];
  }
}
