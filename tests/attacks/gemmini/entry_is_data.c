// row: 20
// what: the entry is a variable
// problem: gemmini/gemm-16x16x16
// verdict: compile_error
// says: not a function
#include <stdint.h>
uint32_t solution[] = {0x00008067};
