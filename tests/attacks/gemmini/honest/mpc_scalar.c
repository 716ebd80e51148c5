// what: a pass of TinyMPC by the processor
// problem: gemmini/tinympc-forward-4x4x3
enum { X = 4, U = 4, T = 3 };
void solution(const float *A, const float *B, const float *K, const float *x0, const float *d, float *u, float *x) {
  const float *state = x0;
  for (int t = 0; t < T; t++) {
    for (int i = 0; i < U; i++) {
      float sum = d[t * U + i];
      for (int k = 0; k < X; k++) sum += K[i * X + k] * state[k];
      u[t * U + i] = -sum;
    }
    for (int i = 0; i < X; i++) {
      float sum = 0;
      for (int k = 0; k < X; k++) sum += A[i * X + k] * state[k];
      for (int k = 0; k < U; k++) sum += B[i * U + k] * u[t * U + k];
      x[t * X + i] = sum;
    }
    state = x + t * X;
  }
}
