// IEEE 754 binary32 and binary64 in integer arithmetic: results and flags do not depend on the host's floating-point unit,
// its rounding mode or the optimisation flags. Tininess is detected after rounding and every NaN result is the canonical
// one, as RISC-V specifies.
#ifndef GEMSIM_SOFTFLOAT_H
#define GEMSIM_SOFTFLOAT_H

#include <stdint.h>

typedef struct FloatFormat {
    int exponent_bits, fraction_bits;
} FloatFormat;

extern const FloatFormat float32_format, float64_format;

// fflags bits and frm values of the F extension
enum { FLAG_INEXACT = 1, FLAG_UNDERFLOW = 2, FLAG_OVERFLOW = 4, FLAG_DIVIDE_BY_ZERO = 8, FLAG_INVALID = 16 };
enum { ROUND_NEAREST_EVEN, ROUND_TO_ZERO, ROUND_DOWN, ROUND_UP, ROUND_NEAREST_AWAY };

uint64_t float_add(FloatFormat, uint64_t a, uint64_t b, int rm, unsigned *flags);
uint64_t float_mul(FloatFormat, uint64_t a, uint64_t b, int rm, unsigned *flags);
uint64_t float_div(FloatFormat, uint64_t a, uint64_t b, int rm, unsigned *flags);
uint64_t float_sqrt(FloatFormat, uint64_t a, int rm, unsigned *flags);
uint64_t float_fma(FloatFormat, uint64_t a, uint64_t b, uint64_t c, int rm, unsigned *flags); // a * b + c, one rounding
uint64_t float_convert(FloatFormat from, FloatFormat to, uint64_t a, int rm, unsigned *flags);
uint64_t float_from_int(FloatFormat, int negative, uint64_t magnitude, int rm, unsigned *flags);
// Saturates as fcvt does; result sign-extended from `bits` (32 or 64).
uint64_t float_to_int(FloatFormat, uint64_t a, int bits, int is_signed, int rm, unsigned *flags);
uint64_t float_min_max(FloatFormat, uint64_t a, uint64_t b, int maximum, unsigned *flags);
int float_equal(FloatFormat, uint64_t a, uint64_t b, unsigned *flags);                  // quiet
int float_less(FloatFormat, uint64_t a, uint64_t b, int or_equal, unsigned *flags);     // signalling
unsigned float_class(FloatFormat, uint64_t a);                                          // fclass mask
uint64_t float_nan(FloatFormat);
static inline uint64_t float_sign_bit(FloatFormat f) { return 1ull << (f.exponent_bits + f.fraction_bits); }

#endif
