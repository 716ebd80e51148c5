// What a Gemmini kernel is written against: the accelerator's commands as function-like macros.
//
// Each macro is one RoCC instruction on opcode custom-3 and costs one issue slot of the CPU. Local addresses count rows
// of the scratchpad (0..16383, 16 int8 each) or, with bit 31 set, of the accumulator (0..1023, 16 int32 each).
// The array is 16 x 16. Counts are always (columns, rows), in elements. Commands read and write memory unseen by the
// compiler: use fence() between CPU stores to an array and the mvin that reads it, and between an mvout and CPU loads.
#ifndef GEMMINI_API_H
#define GEMMINI_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int8_t elem_t;
typedef int32_t acc_t;

#define OS 0
#define WS 1
#define OUTPUT_STATIONARY OS
#define WEIGHT_STATIONARY WS

#define NOACT 0
#define RELU 1
#define NO_ACTIVATION NOACT

#define ACC 0x80000000u       // accumulator address, overwrite
#define ACCADD 0xC0000000u    // accumulator address, accumulate
#define ACCFULL 0xA0000000u   // accumulator address, mvout the 32-bit values
#define NONE 0xFFFFFFFFu      // no operand; as B of a preload: keep the weights that are there
#define GARBAGE_ADDR NONE

#define GA_(f, a, b) \
    asm volatile(".insn r 0x7b, 3, %2, x0, %0, %1" ::"r"((uint64_t)(a)), "r"((uint64_t)(b)), "i"(f))
#define GA_L_(a, c, r) (((uint64_t)(r) << 48) | ((uint64_t)(c) << 32) | (uint64_t)(uint32_t)(a))
static inline __attribute__((always_inline)) uint64_t ga_f2u_(float f) {
    union {
        float f;
        uint32_t u;
    } x;
    x.f = f;
    return x.u;
}

// ---- configuration. config_ex drains the array: set it once, outside every loop.
#define config_ex(dataflow, act, A_stride, A_transpose, B_transpose) \
    GA_(0, (0x3f800000ull << 32) | ((uint64_t)(A_stride) << 16) | ((uint64_t)(B_transpose) << 9) | \
            ((uint64_t)(A_transpose) << 8) | ((uint64_t)(act) << 3) | ((uint64_t)(dataflow) << 2), 1ull << 48)
// id 0, 1, 2 configures mvin, mvin2, mvin3. A load wider than 16 columns puts each further block of 16 columns
// `spad_block_stride_rows` rows later.
#define config_ld(dram_stride_bytes, scale, spad_block_stride_rows, id) \
    GA_(0, (ga_f2u_(scale) << 32) | ((uint64_t)(spad_block_stride_rows) << 16) | (1ull << 8) | \
            ((uint64_t)(id) << 3) | 1, dram_stride_bytes)
// act and acc_scale are applied by an mvout from the accumulator (not by ACCFULL ones).
#define config_st_ext(dram_stride_bytes, act, acc_scale) \
    GA_(0, ((uint64_t)(act) << 2) | 2, (ga_f2u_(acc_scale) << 32) | (uint32_t)(dram_stride_bytes))
#define config_st(dram_stride_bytes) config_st_ext(dram_stride_bytes, NOACT, 1.0f)

// ---- data movement. rows <= 16; cols <= 64 for mvin and mvout. A load from address 0 (NULL) writes zeros.
#define mvin(dram, local, cols, rows) GA_(2, dram, GA_L_(local, cols, rows))
#define mvin2(dram, local, cols, rows) GA_(1, dram, GA_L_(local, cols, rows))
#define mvin3(dram, local, cols, rows) GA_(14, dram, GA_L_(local, cols, rows))
#define mvout(dram, local, cols, rows) GA_(3, dram, GA_L_(local, cols, rows))

// ---- execution. preload names weights B and destination C; the compute after it streams A: C (+)= A x B (+ D).
#define preload(B_local, C_local, B_cols, B_rows, C_cols, C_rows) \
    GA_(6, GA_L_(B_local, B_cols, B_rows), GA_L_(C_local, C_cols, C_rows))
#define compute_preloaded(A_local, D_local, A_cols, A_rows, D_cols, D_rows) \
    GA_(4, GA_L_(A_local, A_cols, A_rows), GA_L_(D_local, D_cols, D_rows))
#define compute_accumulated(A_local, D_local, A_cols, A_rows, D_cols, D_rows) \
    GA_(5, GA_L_(A_local, A_cols, A_rows), GA_L_(D_local, D_cols, D_rows))

// ---- order. fence() waits until all commands have finished; solution() needs none before it returns.
#define fence() asm volatile("fence" ::: "memory")

// ---- the long spellings that Gemmini's own programs use
#define gemmini_flush(skip) GA_(7, skip, 0)
#define gemmini_fence() fence()
#define gemmini_config_ex(dataflow, act, shift) config_ex(dataflow, act, 1, 0, 0)
#define gemmini_extended_config_ex(dataflow, act, shift, A_stride, A_transpose, B_transpose) \
    config_ex(dataflow, act, A_stride, A_transpose, B_transpose)
#define gemmini_config_ld(stride) config_ld(stride, 1.0f, 16, 0)
#define gemmini_extended3_config_ld(stride, scale, shrunk, id) gemmini_extended4_config_ld(stride, scale, shrunk, 16, id)
#define gemmini_extended4_config_ld(stride, scale, shrunk, block_stride, id) \
    GA_(0, (ga_f2u_(scale) << 32) | ((uint64_t)(block_stride) << 16) | (1ull << 8) | ((uint64_t)(id) << 3) | \
            ((uint64_t)(shrunk) << 2) | 1, stride)
#define gemmini_config_st(stride) config_st(stride)
#define gemmini_extended_config_st(stride, act, scale) config_st_ext(stride, act, scale)
#define gemmini_mvin(dram, local) mvin(dram, local, 16, 16)
#define gemmini_mvin2(dram, local) mvin2(dram, local, 16, 16)
#define gemmini_mvin3(dram, local) mvin3(dram, local, 16, 16)
#define gemmini_mvout(dram, local) mvout(dram, local, 16, 16)
#define gemmini_extended_mvin(dram, local, cols, rows) mvin(dram, local, cols, rows)
#define gemmini_extended_mvin2(dram, local, cols, rows) mvin2(dram, local, cols, rows)
#define gemmini_extended_mvin3(dram, local, cols, rows) mvin3(dram, local, cols, rows)
#define gemmini_extended_mvout(dram, local, cols, rows) mvout(dram, local, cols, rows)
#define gemmini_preload(B_local, C_local) preload(B_local, C_local, 16, 16, 16, 16)
#define gemmini_extended_preload(B_local, C_local, B_cols, B_rows, C_cols, C_rows) \
    preload(B_local, C_local, B_cols, B_rows, C_cols, C_rows)
#define gemmini_compute_preloaded(A_local, D_local) compute_preloaded(A_local, D_local, 16, 16, 16, 16)
#define gemmini_compute_accumulated(A_local, D_local) compute_accumulated(A_local, D_local, 16, 16, 16, 16)
#define gemmini_extended_compute_preloaded(A_local, D_local, A_cols, A_rows, D_cols, D_rows) \
    compute_preloaded(A_local, D_local, A_cols, A_rows, D_cols, D_rows)
#define gemmini_extended_compute_accumulated(A_local, D_local, A_cols, A_rows, D_cols, D_rows) \
    compute_accumulated(A_local, D_local, A_cols, A_rows, D_cols, D_rows)

#endif
