// what: a convolution by the processor, bounds checked
// problem: gemmini/conv-5x5x3x4-k3-s2-p1
#include <stdint.h>
void solution(const int8_t input[5][5][3], const int8_t weights[3][3][3][4], int8_t output[3][3][4]) {
  for (int y = 0; y < 3; y++)
    for (int x = 0; x < 3; x++)
      for (int o = 0; o < 4; o++) {
        int sum = 0;
        for (int q = 0; q < 9; q++) {
          int from = 2 * y - 1 + q / 3, at = 2 * x - 1 + q % 3;
          if (from < 0 || from >= 5 || at < 0 || at >= 5) continue;
          for (int c = 0; c < 3; c++) sum += input[from][at][c] * weights[q / 3][q % 3][c][o];
        }
        output[y][x][o] = sum > 127 ? 127 : sum < -128 ? -128 : sum;
      }
}
