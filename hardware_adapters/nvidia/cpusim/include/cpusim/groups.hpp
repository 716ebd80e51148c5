// Cooperative groups inside a block: the block, tiles of a warp, the lanes that are together.
#pragma once

namespace cooperative_groups {

class thread_block {
  public:
    static void sync(int line = __builtin_LINE()) { cpusim_barrier(0, 0, line); }
    static unsigned thread_rank() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
    static unsigned num_threads() { return blockDim.x * blockDim.y * blockDim.z; }
    static unsigned size() { return num_threads(); }
    static uint3 thread_index() { return threadIdx; }
    static dim3 group_index() { return blockIdx; }
    static dim3 group_dim() { return blockDim; }
    static dim3 dim_threads() { return blockDim; }
};
inline thread_block this_thread_block() { return {}; }

template <unsigned Size, class Parent = void> class thread_block_tile {
    static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0, "tiles of up to 32 threads, a power of two");

  public:
    static unsigned thread_rank() { return thread_block::thread_rank() % Size; }
    static constexpr unsigned size() { return Size; }
    static constexpr unsigned num_threads() { return Size; }
    static unsigned meta_group_rank() { return thread_block::thread_rank() / Size; }
    static unsigned meta_group_size() { return (thread_block::num_threads() + Size - 1) / Size; }
    static void sync(int line = __builtin_LINE()) { __syncwarp(mask(), line); }
    template <class T> static T shfl(T value, int lane, int line = __builtin_LINE()) { return __shfl_sync(mask(), value, lane, Size, line); }
    template <class T> static T shfl_up(T value, unsigned by, int line = __builtin_LINE()) { return __shfl_up_sync(mask(), value, by, Size, line); }
    template <class T> static T shfl_down(T value, unsigned by, int line = __builtin_LINE()) { return __shfl_down_sync(mask(), value, by, Size, line); }
    template <class T> static T shfl_xor(T value, int by, int line = __builtin_LINE()) { return __shfl_xor_sync(mask(), value, by, Size, line); }
    static int any(int predicate, int line = __builtin_LINE()) { return __any_sync(mask(), predicate, line); }
    static int all(int predicate, int line = __builtin_LINE()) { return __all_sync(mask(), predicate, line); }
    static unsigned ballot(int predicate, int line = __builtin_LINE()) { return __ballot_sync(mask(), predicate, line) >> first(); }
    template <class T> static unsigned match_any(T value, int line = __builtin_LINE()) { return __match_any_sync(mask(), value, line) >> first(); }

  private:
    static unsigned first() { return thread_block::thread_rank() % 32 / Size * Size; }
    static unsigned mask() { return (Size == 32 ? 0xffffffffu : (1u << Size % 32) - 1) << first(); }
};

class coalesced_group {
  public:
    explicit coalesced_group(unsigned mask) : mask_(mask) {}
    unsigned size() const { return (unsigned)__popc(mask_); }
    unsigned num_threads() const { return size(); }
    unsigned thread_rank() const { return (unsigned)__popc(mask_ & ((1u << thread_block::thread_rank() % 32) - 1)); }
    void sync(int line = __builtin_LINE()) const { __syncwarp(mask_, line); }
    template <class T> T shfl(T value, int rank, int line = __builtin_LINE()) const { return __shfl_sync(mask_, value, lane(rank), 32, line); }
    int any(int predicate, int line = __builtin_LINE()) const { return __any_sync(mask_, predicate, line); }
    int all(int predicate, int line = __builtin_LINE()) const { return __all_sync(mask_, predicate, line); }

  private:
    int lane(int rank) const {
        unsigned left = mask_;
        while (rank-- > 0) left &= left - 1;
        return __ffs((int)left) - 1;
    }
    unsigned mask_;
};
inline coalesced_group coalesced_threads(int line = __builtin_LINE()) { return coalesced_group(__activemask(line)); }

template <unsigned Size, class Parent> thread_block_tile<Size, Parent> tiled_partition(const Parent &) { return {}; }
template <class Group> void sync(const Group &group, int line = __builtin_LINE()) { group.sync(line); }

template <class T> struct plus { T operator()(T a, T b) const { return a + b; } };
template <class T> struct greater { T operator()(T a, T b) const { return a < b ? b : a; } };
template <class T> struct less { T operator()(T a, T b) const { return b < a ? b : a; } };
template <class T> struct bit_and { T operator()(T a, T b) const { return a & b; } };
template <class T> struct bit_or { T operator()(T a, T b) const { return a | b; } };
template <class T> struct bit_xor { T operator()(T a, T b) const { return a ^ b; } };
template <unsigned Size, class Parent, class T, class Op>
T reduce(const thread_block_tile<Size, Parent> &tile, T value, Op op, int line = __builtin_LINE()) {
    for (unsigned by = Size / 2; by; by /= 2) value = op(value, tile.shfl_xor(value, (int)by, line));
    return value;
}
template <unsigned Size, class Parent, class T, class Op>
T inclusive_scan(const thread_block_tile<Size, Parent> &tile, T value, Op op, int line = __builtin_LINE()) {
    for (unsigned by = 1; by < Size; by *= 2) {
        T before = tile.shfl_up(value, by, line);
        if (tile.thread_rank() >= by) value = op(before, value);
    }
    return value;
}
template <unsigned Size, class Parent, class T> T inclusive_scan(const thread_block_tile<Size, Parent> &tile, T value, int line = __builtin_LINE()) {
    return inclusive_scan(tile, value, plus<T>(), line);
}

}  // namespace cooperative_groups
