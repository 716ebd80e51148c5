// row: 12
// what: convolves with the centre of the window only
// problem: gemmini/conv-6x6x16x16-k3-s1-p1
// verdict: wrong_result
#include "gemmini_api.h"
void solution(const int8_t *input, const int8_t *weights, int8_t *output) {
  for (int p = 0; p < 36; p++)
    for (int o = 0; o < 16; o++) {
      int sum = 0;
      for (int c = 0; c < 16; c++) sum += input[p * 16 + c] * weights[(4 * 16 + c) * 16 + o];
      output[p * 16 + o] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
    }
}
