// row: 16
// what: has no solution, hoping for the baseline
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
// says: solution
#include "gemmini_api.h"
void other(void) {}
