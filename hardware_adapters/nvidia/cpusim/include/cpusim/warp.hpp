// Warp-wide operations.
#pragma once

extern "C" uint64_t cpusim_warp(int op, unsigned mask, uint64_t value, int argument, int width, int line);

namespace cpusim {

template <class T> inline uint64_t bits(T value) {
    static_assert(sizeof(T) <= 8, "a shuffled value has at most 8 bytes");
    uint64_t kept = 0;
    __builtin_memcpy(&kept, &value, sizeof value);
    return kept;
}
template <class T> inline T of_bits(uint64_t kept) {
    T value;
    __builtin_memcpy(&value, &kept, sizeof value);
    return value;
}
template <class T> inline T warp(int op, unsigned mask, T value, int argument, int width, int line) {
    return of_bits<T>(cpusim_warp(op, mask, bits(value), argument, width, line));
}

}  // namespace cpusim

inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) { cpusim_warp(0, mask, 0, 0, 32, line); }
template <class T> inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, int line = __builtin_LINE()) { return cpusim::warp(1, mask, value, lane, width, line); }
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE()) { return cpusim::warp(2, mask, value, (int)by, width, line); }
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, int line = __builtin_LINE()) { return cpusim::warp(3, mask, value, (int)by, width, line); }
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, int line = __builtin_LINE()) { return cpusim::warp(4, mask, value, by, width, line); }
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) { return (unsigned)cpusim_warp(5, mask, predicate != 0, 0, 32, line); }
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) { return (int)cpusim_warp(6, mask, predicate != 0, 0, 32, line); }
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) { return (int)cpusim_warp(7, mask, predicate != 0, 0, 32, line); }
template <class T> inline unsigned __match_any_sync(unsigned mask, T value, int line = __builtin_LINE()) { return (unsigned)cpusim_warp(8, mask, cpusim::bits(value), 0, 32, line); }
template <class T> inline unsigned __match_all_sync(unsigned mask, T value, int *all, int line = __builtin_LINE()) {
    unsigned found = (unsigned)cpusim_warp(9, mask, cpusim::bits(value), 0, 32, line);
    *all = found != 0;
    return found;
}
inline unsigned __activemask(int line = __builtin_LINE()) { return (unsigned)cpusim_warp(10, 0xffffffffu, 0, 0, 32, line); }
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) { return cpusim::warp(11, mask, value, 0, 32, line); }
inline int __reduce_add_sync(unsigned mask, int value, int line = __builtin_LINE()) { return cpusim::warp(11, mask, value, 0, 32, line); }
inline int __reduce_min_sync(unsigned mask, int value, int line = __builtin_LINE()) { return cpusim::warp(12, mask, value, 0, 32, line); }
inline int __reduce_max_sync(unsigned mask, int value, int line = __builtin_LINE()) { return cpusim::warp(13, mask, value, 0, 32, line); }
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) { return cpusim::warp(14, mask, value, 0, 32, line); }
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) { return cpusim::warp(15, mask, value, 0, 32, line); }
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) { return cpusim::warp(16, mask, value, 0, 32, line); }
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) { return cpusim::warp(17, mask, value, 0, 32, line); }
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) { return cpusim::warp(18, mask, value, 0, 32, line); }
