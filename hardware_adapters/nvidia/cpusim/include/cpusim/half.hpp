// 16-bit floating types: stored as bits, computed in float and rounded to nearest even, which for one operation at a
// time is exact.
#pragma once

namespace cpusim {

inline uint16_t half_bits(float value) {
    uint32_t bits = __float_as_uint(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7FFFu);
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) {  // below the normal range: add a number whose unit is the smallest half
        float scaled = __uint_as_float(magnitude) + 0.5f;
        return (uint16_t)(sign | (__float_as_uint(scaled) - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}
inline float half_value(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 0x3FFu;
    if (exponent == 31) return __uint_as_float(sign | 0x7F800000u | fraction << 13);
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 5.9604644775390625e-08f;  // 2^-24
    return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
}
inline uint16_t bfloat_bits(float value) {
    uint32_t bits = __float_as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0x7FFF;
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
inline float bfloat_value(uint16_t bits) { return __uint_as_float((uint32_t)bits << 16); }

}  // namespace cpusim

#define CPUSIM_SMALL(name, pair, to_bits, to_value)                                                                              \
    struct name {                                                                                                                \
        uint16_t kept;                                                                                                           \
        name() = default;                                                                                                        \
        name(float value) : kept(cpusim::to_bits(value)) {}                                                                      \
        name(double value) : kept(cpusim::to_bits((float)value)) {}                                                              \
        name(int value) : kept(cpusim::to_bits((float)value)) {}                                                                 \
        operator float() const { return cpusim::to_value(kept); }                                                                \
        name &operator+=(name other) { return *this = name((float)*this + (float)other); }                                       \
        name &operator-=(name other) { return *this = name((float)*this - (float)other); }                                       \
        name &operator*=(name other) { return *this = name((float)*this * (float)other); }                                       \
        name &operator/=(name other) { return *this = name((float)*this / (float)other); }                                       \
    };                                                                                                                           \
    inline name operator+(name a, name b) { return name((float)a + (float)b); }                                                  \
    inline name operator-(name a, name b) { return name((float)a - (float)b); }                                                  \
    inline name operator*(name a, name b) { return name((float)a * (float)b); }                                                  \
    inline name operator/(name a, name b) { return name((float)a / (float)b); }                                                  \
    inline name operator-(name a) { return name(-(float)a); }                                                                    \
    inline bool operator<(name a, name b) { return (float)a < (float)b; }                                                        \
    inline bool operator>(name a, name b) { return (float)a > (float)b; }                                                        \
    inline bool operator<=(name a, name b) { return (float)a <= (float)b; }                                                      \
    inline bool operator>=(name a, name b) { return (float)a >= (float)b; }                                                      \
    inline bool operator==(name a, name b) { return (float)a == (float)b; }                                                      \
    inline bool operator!=(name a, name b) { return (float)a != (float)b; }                                                      \
    struct alignas(4) pair {                                                                                                     \
        name x, y;                                                                                                               \
        pair(name x, name y) : x(x), y(y) {}                                                                                     \
        CPUSIM_WHOLE(pair, uint16_t, 2)                                                                                          \
    };                                                                                                                           \
    inline pair operator+(pair a, pair b) { return {a.x + b.x, a.y + b.y}; }                                                     \
    inline pair operator-(pair a, pair b) { return {a.x - b.x, a.y - b.y}; }                                                     \
    inline pair operator*(pair a, pair b) { return {a.x * b.x, a.y * b.y}; }                                                     \
    inline name __hadd(name a, name b) { return a + b; }                                                                         \
    inline name __hsub(name a, name b) { return a - b; }                                                                         \
    inline name __hmul(name a, name b) { return a * b; }                                                                         \
    inline name __hdiv(name a, name b) { return a / b; }                                                                         \
    inline name __hneg(name a) { return -a; }                                                                                    \
    inline name __hfma(name a, name b, name c) { return name((double)(float)a * (double)(float)b + (double)(float)c); }          \
    inline name __hmax(name a, name b) { return name(fmaxf(a, b)); }                                                             \
    inline name __hmin(name a, name b) { return name(fminf(a, b)); }                                                             \
    inline pair __hadd2(pair a, pair b) { return a + b; }                                                                        \
    inline pair __hsub2(pair a, pair b) { return a - b; }                                                                        \
    inline pair __hmul2(pair a, pair b) { return a * b; }                                                                        \
    inline pair __hfma2(pair a, pair b, pair c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }

CPUSIM_SMALL(__half, __half2, half_bits, half_value)
CPUSIM_SMALL(__nv_bfloat16, __nv_bfloat162, bfloat_bits, bfloat_value)
#undef CPUSIM_SMALL
typedef __half half;
typedef __half2 half2;
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

inline __half __float2half(float x) { return __half(x); }
inline __half __float2half_rn(float x) { return __half(x); }
inline float __half2float(__half x) { return x; }
inline __half __double2half(double x) { return __half(x); }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline __half2 __float2half2_rn(float x) { return {__half(x), __half(x)}; }
inline __half2 __half2half2(__half x) { return {x, x}; }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 make_half2(__half x, __half y) { return {x, y}; }
inline __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
inline float2 __half22float2(__half2 v) { return {(float)v.x, (float)v.y}; }
inline __half __low2half(__half2 v) { return v.x; }
inline __half __high2half(__half2 v) { return v.y; }
inline float __low2float(__half2 v) { return v.x; }
inline float __high2float(__half2 v) { return v.y; }
inline __half __int2half_rn(int x) { return __half(x); }
inline unsigned short __half_as_ushort(__half x) { return x.kept; }
inline __half __ushort_as_half(unsigned short bits) { __half x; x.kept = bits; return x; }
inline __half hexp(__half x) { return __half(expf(x)); }
inline __half hlog(__half x) { return __half(logf(x)); }
inline __half hsqrt(__half x) { return __half(sqrtf(x)); }
inline __half hrsqrt(__half x) { return __half(rsqrtf(x)); }
inline __half hrcp(__half x) { return __half(1.0f / (float)x); }
inline __half __habs(__half x) { return __half(fabsf(x)); }

inline __nv_bfloat16 __float2bfloat16(float x) { return __nv_bfloat16(x); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return __nv_bfloat16(x); }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
inline __nv_bfloat162 __float2bfloat162_rn(float x) { return {__nv_bfloat16(x), __nv_bfloat16(x)}; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {(float)v.x, (float)v.y}; }
inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 v) { return v.x; }
inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 v) { return v.y; }
