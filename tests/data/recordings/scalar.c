#include <stdint.h>

void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  for (int i = 0; i < 128; i++) {
    for (int j = 0; j < 128; j++) {
      int32_t sum = 0;
      for (int k = 0; k < 128; k++) {
        sum += (int32_t)A[i * 128 + k] * (int32_t)B[k * 128 + j];
      }
      if (sum > 127) sum = 127;
      if (sum < -128) sum = -128;
      C[i * 128 + j] = (int8_t)sum;
    }
  }
}
