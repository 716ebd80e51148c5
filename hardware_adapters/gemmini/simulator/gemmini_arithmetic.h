// Gemmini's number formats: float32 scales, rounding half to even, saturation, wrapping.
#ifndef GEMSIM_GEMMINI_ARITHMETIC_H
#define GEMSIM_GEMMINI_ARITHMETIC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline int32_t wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
static inline int32_t wrap_sub(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
static inline int32_t wrap_mul(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }

static inline int8_t saturate_int8(int32_t v) { return (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v); }

// float32(v) x scale, rounded half to even, saturated by sign.
static inline int8_t scale_to_int8(int32_t v, float scale) {
    float x = (float)v * scale;
    if (isnan(x)) return 0;
    if (x >= 127.0f) return 127;
    if (x <= -128.0f) return -128;
    return (int8_t)rintf(x);
}

// Arithmetic right shift, rounded half to even.
static inline int64_t rounding_shift(int64_t v, unsigned shift) {
    if (!shift) return v;
    int64_t q = v >> shift, rest = v & ((INT64_C(1) << shift) - 1), half = INT64_C(1) << (shift - 1);
    return q + (rest > half || (rest == half && (q & 1)));
}

#endif
