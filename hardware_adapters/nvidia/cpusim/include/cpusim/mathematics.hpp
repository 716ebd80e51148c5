// Device functions of numbers. Those called fast or approximate on the device are computed exactly here.
#pragma once

#define CUDART_INF_F __builtin_inff()
#define CUDART_INF __builtin_inf()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_PI_F 3.141592654f
#define CUDART_PI 3.14159265358979323846

#define CPUSIM_SIGNED(type)                                                                                                      \
    inline type min(type a, type b) { return b < a ? b : a; }                                                                    \
    inline type max(type a, type b) { return a < b ? b : a; }
CPUSIM_SIGNED(int)
CPUSIM_SIGNED(unsigned)
CPUSIM_SIGNED(long)
CPUSIM_SIGNED(unsigned long)
CPUSIM_SIGNED(long long)
CPUSIM_SIGNED(unsigned long long)
#undef CPUSIM_SIGNED
inline unsigned min(int a, unsigned b) { return min((unsigned)a, b); }
inline unsigned min(unsigned a, int b) { return min(a, (unsigned)b); }
inline unsigned max(int a, unsigned b) { return max((unsigned)a, b); }
inline unsigned max(unsigned a, int b) { return max(a, (unsigned)b); }
inline long min(int a, long b) { return min((long)a, b); }
inline long min(long a, int b) { return min(a, (long)b); }
inline long max(int a, long b) { return max((long)a, b); }
inline long max(long a, int b) { return max(a, (long)b); }
inline long long min(int a, long long b) { return min((long long)a, b); }
inline long long min(long long a, int b) { return min(a, (long long)b); }
inline long long max(int a, long long b) { return max((long long)a, b); }
inline long long max(long long a, int b) { return max(a, (long long)b); }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin(a, b); }
inline double min(double a, float b) { return fmin(a, b); }
inline double max(float a, double b) { return fmax(a, b); }
inline double max(double a, float b) { return fmax(a, b); }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline float __saturatef(float x) { return x != x ? 0.0f : x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x; }
inline float sinpif(float x) { return sinf(x * CUDART_PI_F); }
inline float cospif(float x) { return cosf(x * CUDART_PI_F); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678f); }
inline float norm3df(float a, float b, float c) { return sqrtf(a * a + b * b + c * c); }

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __tanhf(float x) { return tanhf(x); }
inline void __sincosf(float x, float *s, float *c) { *s = sinf(x); *c = cosf(x); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }

#define CPUSIM_ROUNDED(suffix)                                                                                                   \
    inline float __fadd_##suffix(float a, float b) { return a + b; }                                                             \
    inline float __fsub_##suffix(float a, float b) { return a - b; }                                                             \
    inline float __fmul_##suffix(float a, float b) { return a * b; }                                                             \
    inline float __fdiv_##suffix(float a, float b) { return a / b; }                                                             \
    inline float __fmaf_##suffix(float a, float b, float c) { return fmaf(a, b, c); }                                            \
    inline float __frcp_##suffix(float a) { return 1.0f / a; }                                                                   \
    inline float __fsqrt_##suffix(float a) { return sqrtf(a); }                                                                  \
    inline double __dadd_##suffix(double a, double b) { return a + b; }                                                          \
    inline double __dmul_##suffix(double a, double b) { return a * b; }                                                          \
    inline double __fma_##suffix(double a, double b, double c) { return fma(a, b, c); }
CPUSIM_ROUNDED(rn)
#undef CPUSIM_ROUNDED
inline float __frsqrt_rn(float a) { return rsqrtf(a); }

inline int __float2int_rn(float x) { return (int)rintf(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline int __float2int_ru(float x) { return (int)ceilf(x); }
inline unsigned __float2uint_rn(float x) { return (unsigned)rintf(x); }
inline unsigned __float2uint_rz(float x) { return (unsigned)x; }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __double2float_rn(double x) { return (float)x; }

inline int __float_as_int(float x) { int y; __builtin_memcpy(&y, &x, 4); return y; }
inline unsigned __float_as_uint(float x) { unsigned y; __builtin_memcpy(&y, &x, 4); return y; }
inline float __int_as_float(int x) { float y; __builtin_memcpy(&y, &x, 4); return y; }
inline float __uint_as_float(unsigned x) { float y; __builtin_memcpy(&y, &x, 4); return y; }
inline long long __double_as_longlong(double x) { long long y; __builtin_memcpy(&y, &x, 8); return y; }
inline double __longlong_as_double(long long x) { double y; __builtin_memcpy(&y, &x, 8); return y; }

inline int __popcll(unsigned long long x) {  // by hand: where there is no instruction, compilers call their own library
    x -= x >> 1 & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
    return (int)(((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Full) * 0x0101010101010101ull >> 56);
}
inline int __popc(unsigned x) { return __popcll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    x = (x & 0x55555555u) << 1 | (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) << 2 | (x >> 2 & 0x33333333u);
    x = (x & 0x0F0F0F0Fu) << 4 | (x >> 4 & 0x0F0F0F0Fu);
    return __builtin_bswap32(x);
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    uint64_t both = (uint64_t)b << 32 | a;
    unsigned made = 0;
    for (int i = 0; i < 4; i++) {
        unsigned chosen = selector >> 4 * i & 15, byte = (unsigned)(both >> 8 * (chosen & 7)) & 255;
        made |= (chosen & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return made;
}
inline int __mul24(int a, int b) { return (int)((unsigned)(a << 8 >> 8) * (unsigned)(b << 8 >> 8)); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xFFFFFF) * (b & 0xFFFFFF); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) { return (unsigned)((((uint64_t)high << 32 | low) << (by & 31)) >> 32); }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) { return (unsigned)(((uint64_t)high << 32 | low) >> (by & 31)); }
inline unsigned __sad(int a, int b, unsigned c) { return (unsigned)(a < b ? b - a : a - b) + c; }
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++) c += (int)(signed char)(a >> 8 * i) * (int)(signed char)(b >> 8 * i);
    return c;
}

// Loads and stores that name a cache policy are plain ones here; the hook is told the caller's line.
extern "C" void cpusim_access(const void *at, unsigned size, int op, int line);
#define CPUSIM_LOADS(name)                                                                                                       \
    template <class T> __attribute__((always_inline)) inline T name(const T *at, int line = __builtin_LINE()) {                  \
        static_assert(sizeof(T) <= 16, #name " loads at most 16 bytes");                                                         \
        T value;                                                                                                                 \
        cpusim_access(at, sizeof(T) | alignof(T) << 8, 0, line);                                                                 \
        cpusim::copy_unseen(&value, at, sizeof value);                                                                           \
        return value;                                                                                                            \
    }
#define CPUSIM_STORES(name)                                                                                                      \
    template <class T> __attribute__((always_inline)) inline void name(T *at, T value, int line = __builtin_LINE()) {            \
        cpusim_access(at, sizeof(T) | alignof(T) << 8, 1, line);                                                                 \
        cpusim::copy_unseen(at, &value, sizeof value);                                                                           \
    }
namespace cpusim {
extern "C" void cpusim_copy(void *to, const void *from, uint64_t size);
inline void copy_unseen(void *to, const void *from, uint64_t size) { cpusim_copy(to, from, size); }
}
CPUSIM_LOADS(__ldg)
CPUSIM_LOADS(__ldca)
CPUSIM_LOADS(__ldcg)
CPUSIM_LOADS(__ldcs)
CPUSIM_LOADS(__ldlu)
CPUSIM_LOADS(__ldcv)
CPUSIM_STORES(__stwb)
CPUSIM_STORES(__stcg)
CPUSIM_STORES(__stcs)
CPUSIM_STORES(__stwt)
#undef CPUSIM_LOADS
#undef CPUSIM_STORES

extern "C" uint64_t cpusim_clock(void);
inline long clock() { return (long)cpusim_clock(); }
inline long long clock64() { return (long long)cpusim_clock(); }
