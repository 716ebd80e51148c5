#include "gemmini_api.h"

void solution(const int8_t *A, const int8_t *B, int8_t *C) {
  config_ex(WS, NOACT, 1, 0, 0);
  config_st(512);
  config_ld(512, 1.0f, 16, 0);           // mvin: A
  config_ld(512, 1.0f, 16, 1);           // mvin2: B
  config_ld(0, 1.0f, 16, 2);             // mvin3: zeros
  for (int i = 0; i < 512; i += 16) {
    for (int j = 0; j < 512; j += 64) {
#pragma GCC unroll 4
      for (int jb = 0; jb < 4; jb++) mvin3(0, ACC + jb * 16, 16, 16);
      for (int k = 0; k < 512; k += 64) {
        mvin(A + i * 512 + k, 0, 64, 16);
#pragma GCC unroll 4
        for (int kb = 0; kb < 4; kb++)
          mvin2(B + (k + kb * 16) * 512 + j, 8192 + kb * 64, 64, 16);
#pragma GCC unroll 4
        for (int kb = 0; kb < 4; kb++) {
#pragma GCC unroll 4
          for (int jb = 0; jb < 4; jb++) {
            preload(8192 + kb * 64 + jb * 16, ACCADD + jb * 16, 16, 16, 16, 16);
            compute_preloaded(kb * 16, NONE, 16, 16, 16, 16);
          }
        }
      }
      mvout(C + i * 512 + j, ACC, 64, 16);
    }
  }
}
