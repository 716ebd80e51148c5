// Atomic operations, for the types that CUDA has them for.
#pragma once

extern "C" uint64_t cpusim_atomic(void *at, int op, int type, uint64_t value, uint64_t compare, int line);

#define CPUSIM_ATOMIC(name, op, type, kind)                                                                                      \
    inline type name(type *at, type value, int line = __builtin_LINE()) {                                                        \
        return cpusim::of_bits<type>(cpusim_atomic((void *)at, op, kind, cpusim::bits(value), 0, line));                                 \
    }                                                                                                                            \
    inline type name##_block(type *at, type value, int line = __builtin_LINE()) { return name(at, value, line); }                \
    inline type name##_system(type *at, type value, int line = __builtin_LINE()) { return name(at, value, line); }
#define CPUSIM_INTEGERS(name, op)                                                                                                \
    CPUSIM_ATOMIC(name, op, int, 0)                                                                                              \
    CPUSIM_ATOMIC(name, op, unsigned, 1)                                                                                         \
    CPUSIM_ATOMIC(name, op, unsigned long long, 3)
CPUSIM_INTEGERS(atomicAdd, 0)
CPUSIM_ATOMIC(atomicAdd, 0, float, 4)
CPUSIM_ATOMIC(atomicAdd, 0, double, 5)
CPUSIM_ATOMIC(atomicSub, 1, int, 0)
CPUSIM_ATOMIC(atomicSub, 1, unsigned, 1)
CPUSIM_INTEGERS(atomicMin, 2)
CPUSIM_ATOMIC(atomicMin, 2, long long, 2)
CPUSIM_INTEGERS(atomicMax, 3)
CPUSIM_ATOMIC(atomicMax, 3, long long, 2)
CPUSIM_INTEGERS(atomicExch, 4)
CPUSIM_ATOMIC(atomicExch, 4, float, 4)
CPUSIM_INTEGERS(atomicAnd, 6)
CPUSIM_INTEGERS(atomicOr, 7)
CPUSIM_INTEGERS(atomicXor, 8)
CPUSIM_ATOMIC(atomicInc, 9, unsigned, 1)
CPUSIM_ATOMIC(atomicDec, 10, unsigned, 1)
#undef CPUSIM_INTEGERS
#undef CPUSIM_ATOMIC

#define CPUSIM_COMPARE(type, kind)                                                                                               \
    inline type atomicCAS(type *at, type compare, type value, int line = __builtin_LINE()) {                                     \
        return cpusim::of_bits<type>(cpusim_atomic((void *)at, 5, kind, cpusim::bits(value), cpusim::bits(compare), line));              \
    }
CPUSIM_COMPARE(int, 0)
CPUSIM_COMPARE(unsigned, 1)
CPUSIM_COMPARE(unsigned long long, 3)
#undef CPUSIM_COMPARE
