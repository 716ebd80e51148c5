// Vector types and the words that CUDA adds to the language.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __inline__ inline
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
#define __maxnreg__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __CUDACC__ 1
#define __CUDA_ARCH__ CPUSIM_ARCHITECTURE
#define CUDART_VERSION 13000
#ifndef __restrict__
#define __restrict__ __restrict
#endif

// A vector is copied whole, as the device does it: compilers would copy its members one by one where that suits them,
// and the counts of accesses would be others.
#define CPUSIM_WHOLE(name, type, count)                                                                                          \
    name() = default;                                                                                                            \
    name(const name &other) { *(Whole *)this = *(const Whole *)&other; }                                                         \
    name &operator=(const name &other) {                                                                                         \
        *(Whole *)this = *(const Whole *)&other;                                                                                 \
        return *this;                                                                                                            \
    }                                                                                                                            \
                                                                                                                                 \
  private:                                                                                                                       \
    typedef type Whole __attribute__((vector_size(count * sizeof(type)), may_alias));

#define CPUSIM_PAIR(name, type)                                                                                                  \
    struct alignas(2 * sizeof(type)) name {                                                                                      \
        type x, y;                                                                                                               \
        name(type x, type y = 0) : x(x), y(y) {}                                                                                 \
        CPUSIM_WHOLE(name, type, 2)                                                                                              \
    };                                                                                                                           \
    inline name make_##name(type x, type y) { return name(x, y); }
#define CPUSIM_QUARTET(name, type)                                                                                               \
    struct alignas(4 * sizeof(type)) name {                                                                                      \
        type x, y, z, w;                                                                                                         \
        name(type x, type y = 0, type z = 0, type w = 0) : x(x), y(y), z(z), w(w) {}                                             \
        CPUSIM_WHOLE(name, type, 4)                                                                                              \
    };                                                                                                                           \
    inline name make_##name(type x, type y, type z, type w) { return name(x, y, z, w); }
#define CPUSIM_WIDE(name, type)                                                                                                  \
    struct alignas(16) name { type x, y, z, w; };                                                                                \
    inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }
#define CPUSIM_VECTORS(name, type, four)                                                                                         \
    struct name##1 { type x; };                                                                                                  \
    struct name##3 { type x, y, z; };                                                                                            \
    inline name##1 make_##name##1(type x) { return {x}; }                                                                        \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                                                  \
    CPUSIM_PAIR(name##2, type)                                                                                                   \
    four(name##4, type)
CPUSIM_VECTORS(char, signed char, CPUSIM_QUARTET)
CPUSIM_VECTORS(uchar, unsigned char, CPUSIM_QUARTET)
CPUSIM_VECTORS(short, short, CPUSIM_QUARTET)
CPUSIM_VECTORS(ushort, unsigned short, CPUSIM_QUARTET)
CPUSIM_VECTORS(int, int, CPUSIM_QUARTET)
CPUSIM_VECTORS(uint, unsigned, CPUSIM_QUARTET)
CPUSIM_VECTORS(float, float, CPUSIM_QUARTET)
CPUSIM_VECTORS(long, long, CPUSIM_WIDE)
CPUSIM_VECTORS(ulong, unsigned long, CPUSIM_WIDE)
CPUSIM_VECTORS(longlong, long long, CPUSIM_WIDE)
CPUSIM_VECTORS(ulonglong, unsigned long long, CPUSIM_WIDE)
CPUSIM_VECTORS(double, double, CPUSIM_WIDE)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};

extern "C" {
extern const uint3 threadIdx, blockIdx;
extern const dim3 blockDim, gridDim;
}
constexpr int warpSize = 32;
