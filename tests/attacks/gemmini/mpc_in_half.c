// row: 14
// what: solves in half precision
// problem: gemmini/tinympc-forward-4x4x3
// verdict: wrong_result
#include <stdint.h>
enum { X = 4, U = 4, T = 3 };
static float half(float v) { union { float f; uint32_t u; } b = {v}; b.u &= 0xffffe000; return b.f; }
void solution(const float *A, const float *B, const float *K, const float *x0, const float *d, float *u, float *x) {
  const float *state = x0;
  for (int t = 0; t < T; t++, state = x + (t - 1) * X) {
    for (int i = 0; i < U; i++) {
      float sum = 0;
      for (int k = 0; k < X; k++) sum += half(K[i * X + k]) * half(state[k]);
      u[t * U + i] = half(-sum - d[t * U + i]);
    }
    for (int i = 0; i < X; i++) {
      float sum = 0;
      for (int k = 0; k < X; k++) sum += half(A[i * X + k]) * half(state[k]);
      for (int k = 0; k < U; k++) sum += half(B[i * U + k]) * half(u[t * U + k]);
      x[t * X + i] = half(sum);
    }
  }
}
