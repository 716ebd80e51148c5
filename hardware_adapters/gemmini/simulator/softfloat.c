#include "softfloat.h"

typedef unsigned __int128 u128;
typedef enum { ZERO, FINITE, INFINITE, QUIET_NAN, SIGNALLING_NAN } Class;

// A finite value is (-1)^negative * significand * 2^(exponent - 63), with the top bit of the significand set.
typedef struct Unpacked {
    Class class;
    int negative, exponent;
    uint64_t significand;
} Unpacked;

const FloatFormat float32_format = {8, 23}, float64_format = {11, 52};

static int bias(FloatFormat f) { return (1 << (f.exponent_bits - 1)) - 1; }
static uint64_t infinity(FloatFormat f) { return ((1ull << f.exponent_bits) - 1) << f.fraction_bits; }
static uint64_t with_sign(FloatFormat f, int negative, uint64_t magnitude) { return magnitude | (negative ? float_sign_bit(f) : 0); }
uint64_t float_nan(FloatFormat f) { return infinity(f) | 1ull << (f.fraction_bits - 1); }

static Unpacked unpack(FloatFormat f, uint64_t a) {
    Unpacked u = {.class = FINITE, .negative = (a & float_sign_bit(f)) != 0};
    uint64_t fraction = a & ((1ull << f.fraction_bits) - 1);
    int exponent = (int)(a >> f.fraction_bits & ((1ull << f.exponent_bits) - 1));
    if (exponent == (1 << f.exponent_bits) - 1) {
        if (fraction == 0) u.class = INFINITE;
        else u.class = fraction >> (f.fraction_bits - 1) ? QUIET_NAN : SIGNALLING_NAN;
    } else if (exponent == 0 && fraction == 0) {
        u.class = ZERO;
    } else if (exponent == 0) {
        int shift = __builtin_clzll(fraction);
        u.significand = fraction << shift;
        u.exponent = 1 - bias(f) + (63 - f.fraction_bits) - shift;
    } else {
        u.significand = (fraction | 1ull << f.fraction_bits) << (63 - f.fraction_bits);
        u.exponent = exponent - bias(f);
    }
    return u;
}

// Shift right, ORing what falls out into the lowest bit ("sticky").
static uint64_t shift_sticky(uint64_t v, int n) {
    if (n <= 0) return v;
    if (n > 63) return v != 0;
    return v >> n | ((v & ((1ull << n) - 1)) != 0);
}
static u128 shift_sticky128(u128 v, int n) {
    if (n <= 0) return v;
    if (n > 127) return v != 0;
    return v >> n | ((v & (((u128)1 << n) - 1)) != 0);
}

// Whether dropping `below` (of `width` bits) from a value with lowest kept bit `odd` rounds the magnitude up.
static int rounds_up(uint64_t below, int width, int odd, int negative, int rm) {
    uint64_t half = 1ull << (width - 1);
    switch (rm) {
    case ROUND_NEAREST_EVEN: return below > half || (below == half && odd);
    case ROUND_NEAREST_AWAY: return below >= half;
    case ROUND_DOWN: return negative && below != 0;
    case ROUND_UP: return !negative && below != 0;
    default: return 0;
    }
}

static uint64_t round_pack(FloatFormat f, int negative, int exponent, uint64_t significand, int rm, unsigned *flags) {
    int drop = 63 - f.fraction_bits, lowest = 1 - bias(f);
    uint64_t mask = (1ull << drop) - 1;
    int tiny = 0;
    if (exponent < lowest) {
        int up = rounds_up(significand & mask, drop, (int)(significand >> drop & 1), negative, rm);
        int carries = up && significand >> drop == (1ull << (f.fraction_bits + 1)) - 1;
        tiny = !(exponent == lowest - 1 && carries);
        significand = shift_sticky(significand, lowest - exponent);
        exponent = lowest;
    }
    uint64_t below = significand & mask, kept = significand >> drop;
    kept += (uint64_t)rounds_up(below, drop, (int)(kept & 1), negative, rm);
    if (kept >> (f.fraction_bits + 1)) {
        kept >>= 1;
        exponent++;
    }
    if (exponent > bias(f)) {
        *flags |= FLAG_OVERFLOW | FLAG_INEXACT;
        int to_infinity = rm == ROUND_NEAREST_EVEN || rm == ROUND_NEAREST_AWAY || rm == (negative ? ROUND_DOWN : ROUND_UP);
        return with_sign(f, negative, infinity(f) - !to_infinity);
    }
    if (below) *flags |= FLAG_INEXACT | (tiny ? FLAG_UNDERFLOW : 0u);
    uint64_t biased = kept >> f.fraction_bits ? (uint64_t)(exponent + bias(f)) : 0;
    return with_sign(f, negative, biased << f.fraction_bits | (kept & ((1ull << f.fraction_bits) - 1)));
}

// The same for a 128-bit significand whose value is significand * 2^(exponent - 127), not normalised, not zero.
static uint64_t round_pack128(FloatFormat f, int negative, int exponent, u128 v, int rm, unsigned *flags) {
    uint64_t high = (uint64_t)(v >> 64);
    int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)v);
    v <<= shift;
    return round_pack(f, negative, exponent - shift, (uint64_t)(v >> 64) | ((uint64_t)v != 0), rm, flags);
}

static int is_nan(Unpacked u) { return u.class == QUIET_NAN || u.class == SIGNALLING_NAN; }

static uint64_t nan_result(FloatFormat f, int invalid, unsigned *flags) {
    if (invalid) *flags |= FLAG_INVALID;
    return float_nan(f);
}

// Sum of two nonzero magnitudes given as 128-bit significands with at least two zero bits at the bottom.
static uint64_t add_magnitudes(FloatFormat f, int an, int ae, u128 av, int bn, int be, u128 bv, int rm, unsigned *flags) {
    if (be > ae || (be == ae && bv > av)) {
        int n = an, e = ae;
        u128 v = av;
        an = bn, ae = be, av = bv;
        bn = n, be = e, bv = v;
    }
    av >>= 1; // room for the carry
    bv = shift_sticky128(bv >> 1, ae - be);
    if (an == bn) return round_pack128(f, an, ae + 1, av + bv, rm, flags);
    if (av == bv) return with_sign(f, rm == ROUND_DOWN, 0);
    return round_pack128(f, an, ae + 1, av - bv, rm, flags);
}

uint64_t float_add(FloatFormat f, uint64_t a, uint64_t b, int rm, unsigned *flags) {
    Unpacked x = unpack(f, a), y = unpack(f, b);
    if (is_nan(x) || is_nan(y)) return nan_result(f, x.class == SIGNALLING_NAN || y.class == SIGNALLING_NAN, flags);
    if (x.class == INFINITE && y.class == INFINITE && x.negative != y.negative) return nan_result(f, 1, flags);
    if (x.class == INFINITE) return a;
    if (y.class == INFINITE) return b;
    if (x.class == ZERO && y.class == ZERO) return x.negative == y.negative ? a : with_sign(f, rm == ROUND_DOWN, 0);
    if (x.class == ZERO) return b;
    if (y.class == ZERO) return a;
    return add_magnitudes(f, x.negative, x.exponent, (u128)x.significand << 64, y.negative, y.exponent,
                          (u128)y.significand << 64, rm, flags);
}

uint64_t float_mul(FloatFormat f, uint64_t a, uint64_t b, int rm, unsigned *flags) {
    Unpacked x = unpack(f, a), y = unpack(f, b);
    int negative = x.negative != y.negative;
    if (is_nan(x) || is_nan(y)) return nan_result(f, x.class == SIGNALLING_NAN || y.class == SIGNALLING_NAN, flags);
    if (x.class == INFINITE || y.class == INFINITE) {
        if (x.class == ZERO || y.class == ZERO) return nan_result(f, 1, flags);
        return with_sign(f, negative, infinity(f));
    }
    if (x.class == ZERO || y.class == ZERO) return with_sign(f, negative, 0);
    return round_pack128(f, negative, x.exponent + y.exponent + 1, (u128)x.significand * y.significand, rm, flags);
}

uint64_t float_fma(FloatFormat f, uint64_t a, uint64_t b, uint64_t c, int rm, unsigned *flags) {
    Unpacked x = unpack(f, a), y = unpack(f, b), z = unpack(f, c);
    int negative = x.negative != y.negative;
    int invalid_product = (x.class == INFINITE && y.class == ZERO) || (x.class == ZERO && y.class == INFINITE);
    if (is_nan(x) || is_nan(y) || is_nan(z) || invalid_product) {
        int signalling = x.class == SIGNALLING_NAN || y.class == SIGNALLING_NAN || z.class == SIGNALLING_NAN;
        return nan_result(f, invalid_product || signalling, flags);
    }
    if (x.class == INFINITE || y.class == INFINITE) {
        if (z.class == INFINITE && z.negative != negative) return nan_result(f, 1, flags);
        return with_sign(f, negative, infinity(f));
    }
    if (z.class == INFINITE) return c;
    if (x.class == ZERO || y.class == ZERO) {
        if (z.class != ZERO) return c;
        return negative == z.negative ? c : with_sign(f, rm == ROUND_DOWN, 0);
    }
    u128 product = (u128)x.significand * y.significand; // at most 106 significant bits: the bottom ones are zero
    int exponent = x.exponent + y.exponent + 1;
    if (!(product >> 127)) {
        product <<= 1;
        exponent--;
    }
    if (z.class == ZERO) return round_pack128(f, negative, exponent, product, rm, flags);
    return add_magnitudes(f, negative, exponent, product, z.negative, z.exponent, (u128)z.significand << 64, rm, flags);
}

uint64_t float_div(FloatFormat f, uint64_t a, uint64_t b, int rm, unsigned *flags) {
    Unpacked x = unpack(f, a), y = unpack(f, b);
    int negative = x.negative != y.negative;
    if (is_nan(x) || is_nan(y)) return nan_result(f, x.class == SIGNALLING_NAN || y.class == SIGNALLING_NAN, flags);
    if (x.class == INFINITE) return y.class == INFINITE ? nan_result(f, 1, flags) : with_sign(f, negative, infinity(f));
    if (y.class == INFINITE) return with_sign(f, negative, 0);
    if (y.class == ZERO) {
        if (x.class == ZERO) return nan_result(f, 1, flags);
        *flags |= FLAG_DIVIDE_BY_ZERO;
        return with_sign(f, negative, infinity(f));
    }
    if (x.class == ZERO) return with_sign(f, negative, 0);
    u128 numerator = (u128)x.significand << 63;
    u128 quotient = numerator / y.significand; // 2^62 < quotient < 2^64
    int inexact = numerator % y.significand != 0;
    return round_pack128(f, negative, x.exponent - y.exponent + 63, quotient << 1 | (u128)inexact, rm, flags);
}

uint64_t float_sqrt(FloatFormat f, uint64_t a, int rm, unsigned *flags) {
    Unpacked x = unpack(f, a);
    if (is_nan(x)) return nan_result(f, x.class == SIGNALLING_NAN, flags);
    if (x.class == ZERO) return a;
    if (x.negative) return nan_result(f, 1, flags);
    if (x.class == INFINITE) return a;
    int odd = x.exponent & 1; // value = m * 2^even with 1 <= m < 4
    u128 radicand = (u128)x.significand << (63 + odd), root = 0;
    for (int bit = 63; bit >= 0; bit--) {
        u128 trial = root | (u128)1 << bit;
        if (trial * trial <= radicand) root = trial;
    }
    int inexact = root * root != radicand; // the top bit of the root is bit 63
    return round_pack128(f, 0, (x.exponent - odd) / 2 + 63, root << 1 | (u128)inexact, rm, flags);
}

uint64_t float_convert(FloatFormat from, FloatFormat to, uint64_t a, int rm, unsigned *flags) {
    Unpacked x = unpack(from, a);
    if (is_nan(x)) return nan_result(to, x.class == SIGNALLING_NAN, flags);
    if (x.class == INFINITE) return with_sign(to, x.negative, infinity(to));
    if (x.class == ZERO) return with_sign(to, x.negative, 0);
    return round_pack(to, x.negative, x.exponent, x.significand, rm, flags);
}

uint64_t float_from_int(FloatFormat f, int negative, uint64_t magnitude, int rm, unsigned *flags) {
    if (magnitude == 0) return 0;
    int shift = __builtin_clzll(magnitude);
    return round_pack(f, negative, 63 - shift, magnitude << shift, rm, flags);
}

uint64_t float_to_int(FloatFormat f, uint64_t a, int bits, int is_signed, int rm, unsigned *flags) {
    Unpacked x = unpack(f, a);
    uint64_t largest = is_signed ? (1ull << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits);
    uint64_t lowest = is_signed ? 0 - (1ull << (bits - 1)) : 0; // as a sign-extended value
    uint64_t saturated = x.negative && !is_nan(x) ? lowest : largest;
    if (bits == 32) saturated = (uint64_t)(int64_t)(int32_t)saturated;
    if (x.class == ZERO) return 0;
    if (x.class != FINITE || x.exponent >= 64) {
        *flags |= FLAG_INVALID;
        return saturated;
    }
    // integer part in the high half, fraction in the low half, in units of 2^-64
    u128 value = shift_sticky128((u128)x.significand << 64, 63 - x.exponent);
    uint64_t below = (uint64_t)(value), integer = (uint64_t)(value >> 64);
    int up = rounds_up(shift_sticky(below, 1), 63, (int)(integer & 1), x.negative, rm);
    uint64_t magnitude = integer + (uint64_t)up;
    int overflow = up && magnitude == 0;
    if (x.negative ? magnitude > 0 - lowest : magnitude > largest) overflow = 1;
    if (overflow) {
        *flags |= FLAG_INVALID;
        return saturated;
    }
    if (below) *flags |= FLAG_INEXACT;
    uint64_t result = x.negative ? 0 - magnitude : magnitude;
    return bits == 32 ? (uint64_t)(int64_t)(int32_t)result : result;
}

// Total order of non-NaN values as integers, with -0 == +0.
static int64_t order(FloatFormat f, uint64_t a) {
    uint64_t magnitude = a & (float_sign_bit(f) - 1);
    return a & float_sign_bit(f) ? -(int64_t)magnitude : (int64_t)magnitude;
}

int float_equal(FloatFormat f, uint64_t a, uint64_t b, unsigned *flags) {
    Unpacked x = unpack(f, a), y = unpack(f, b);
    if (x.class == SIGNALLING_NAN || y.class == SIGNALLING_NAN) *flags |= FLAG_INVALID;
    return !is_nan(x) && !is_nan(y) && order(f, a) == order(f, b);
}

int float_less(FloatFormat f, uint64_t a, uint64_t b, int or_equal, unsigned *flags) {
    if (is_nan(unpack(f, a)) || is_nan(unpack(f, b))) {
        *flags |= FLAG_INVALID;
        return 0;
    }
    return order(f, a) < order(f, b) || (or_equal && order(f, a) == order(f, b));
}

uint64_t float_min_max(FloatFormat f, uint64_t a, uint64_t b, int maximum, unsigned *flags) {
    Unpacked x = unpack(f, a), y = unpack(f, b);
    if (x.class == SIGNALLING_NAN || y.class == SIGNALLING_NAN) *flags |= FLAG_INVALID;
    if (is_nan(x)) return is_nan(y) ? float_nan(f) : b;
    if (is_nan(y)) return a;
    int64_t p = order(f, a), q = order(f, b);
    if (p == q) return x.negative == maximum ? b : a; // -0 is below +0
    return (p < q) != maximum ? a : b;
}

unsigned float_class(FloatFormat f, uint64_t a) {
    Unpacked x = unpack(f, a);
    int subnormal = x.class == FINITE && x.exponent < 1 - bias(f);
    switch (x.class) {
    case QUIET_NAN: return 1u << 9;
    case SIGNALLING_NAN: return 1u << 8;
    case INFINITE: return x.negative ? 1u << 0 : 1u << 7;
    case ZERO: return x.negative ? 1u << 3 : 1u << 4;
    default: return x.negative ? (subnormal ? 1u << 2 : 1u << 1) : (subnormal ? 1u << 5 : 1u << 6);
    }
}
