// row: 12
// what: computes the first step and repeats it
// problem: gemmini/tinympc-forward-4x4x3
// verdict: wrong_result
enum { X = 4, U = 4, T = 3 };
void solution(const float *A, const float *B, const float *K, const float *x0, const float *d, float *u, float *x) {
  for (int t = 0; t < T; t++) {
    for (int i = 0; i < U; i++) {
      u[t * U + i] = -d[t * U + i];
      for (int k = 0; k < X; k++) u[t * U + i] -= K[i * X + k] * x0[k];
    }
    for (int i = 0; i < X; i++) {
      x[t * X + i] = 0;
      for (int k = 0; k < X; k++) x[t * X + i] += A[i * X + k] * x0[k] + B[i * U + k] * u[t * U + k];
    }
  }
}
