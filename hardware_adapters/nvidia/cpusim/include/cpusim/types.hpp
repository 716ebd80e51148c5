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
#define __CUDA_ARCH__ 890
#define CUDART_VERSION 13000
#ifndef __restrict__
#define __restrict__ __restrict
#endif

#define CPUSIM_VECTORS(name, type, align2, align4)                                                                               \
    struct name##1 { type x; };                                                                                                  \
    struct alignas(align2) name##2 { type x, y; };                                                                               \
    struct name##3 { type x, y, z; };                                                                                            \
    struct alignas(align4) name##4 { type x, y, z, w; };                                                                         \
    inline name##1 make_##name##1(type x) { return {x}; }                                                                        \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                                             \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                                                  \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
CPUSIM_VECTORS(char, signed char, 2, 4)
CPUSIM_VECTORS(uchar, unsigned char, 2, 4)
CPUSIM_VECTORS(short, short, 4, 8)
CPUSIM_VECTORS(ushort, unsigned short, 4, 8)
CPUSIM_VECTORS(int, int, 8, 16)
CPUSIM_VECTORS(uint, unsigned, 8, 16)
CPUSIM_VECTORS(long, long, 16, 16)
CPUSIM_VECTORS(ulong, unsigned long, 16, 16)
CPUSIM_VECTORS(longlong, long long, 16, 16)
CPUSIM_VECTORS(ulonglong, unsigned long long, 16, 16)
CPUSIM_VECTORS(float, float, 8, 16)
CPUSIM_VECTORS(double, double, 16, 16)
#undef CPUSIM_VECTORS

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
