// row: 12
// what: takes the neighbouring row for padding
// problem: gemmini/conv-6x6x16x16-k3-s1-p1
// verdict: wrong_result
#include "gemmini_api.h"
void solution(const int8_t *input, const int8_t *weights, int8_t *output) {
  for (int p = 0; p < 36; p++)
    for (int o = 0; o < 16; o++) {
      int sum = 0;
      for (int q = 0; q < 9; q++) {
        int at = p + (q / 3 - 1) * 6 + q % 3 - 1;
        if (at < 0 || at >= 36) continue;
        for (int c = 0; c < 16; c++) sum += input[at * 16 + c] * weights[(q * 16 + c) * 16 + o];
      }
      output[p * 16 + o] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
    }
}
