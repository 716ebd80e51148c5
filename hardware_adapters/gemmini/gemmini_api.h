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

// Another configuration than the default is chosen before this file is included.
#if defined(GEMMINI_4_FP32)
#define DIM 4
typedef float elem_t;
typedef float acc_t;
#elif defined(GEMMINI_32_INT8)
#define DIM 32
typedef int8_t elem_t;
typedef int32_t acc_t;
#else
#ifndef DIM
#define DIM 16
#endif
typedef int8_t elem_t;
typedef int32_t acc_t;
#endif
typedef float scale_t;
typedef float acc_scale_t;

#define OS 0
#define WS 1
#define OUTPUT_STATIONARY OS
#define WEIGHT_STATIONARY WS

#define NOACT 0
#define RELU 1
#define LAYERNORM 2
#define IGELU 3
#define SOFTMAX 4
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
    gemmini_extended3_config_ex(dataflow, act, 0, 1.0f, 1, A_stride, A_transpose, B_transpose, 0)
// Results leave the output-stationary array shifted right by `shift`; rows of A lie A_stride apart, those of C C_stride.
// strides_only leaves all but the two strides as it was.
#define gemmini_extended3_config_ex(dataflow, act, shift, acc_scale, C_stride, A_stride, A_transpose, B_transpose, strides_only) \
    GA_(0, (ga_f2u_(acc_scale) << 32) | ((uint64_t)(A_stride) << 16) | ((uint64_t)(B_transpose) << 9) | \
            ((uint64_t)(A_transpose) << 8) | ((uint64_t)(strides_only) << 7) | ((uint64_t)(act) << 3) | \
            ((uint64_t)(dataflow) << 2), ((uint64_t)(C_stride) << 48) | (uint32_t)(shift))
// id 0, 1, 2 configures mvin, mvin2, mvin3. A load wider than 16 columns puts each further block of 16 columns
// `spad_block_stride_rows` rows later.
#define config_ld(dram_stride_bytes, scale, spad_block_stride_rows, id) \
    gemmini_extended5_config_ld(dram_stride_bytes, scale, 0, spad_block_stride_rows, 1, id)
// shrunk: an accumulator load reads elements (int8, scaled) instead of 32-bit values. pixel_repeats p also writes each
// row p - 1 times into the rows above it, beside what lies there.
#define gemmini_extended5_config_ld(dram_stride_bytes, scale, shrunk, spad_block_stride_rows, pixel_repeats, id) \
    GA_(0, (ga_f2u_(scale) << 32) | ((uint64_t)(spad_block_stride_rows) << 16) | ((uint64_t)(pixel_repeats) << 8) | \
            ((uint64_t)(id) << 3) | ((uint64_t)(shrunk) << 2) | 1, dram_stride_bytes)
// act and acc_scale are applied by an mvout from the accumulator (not by ACCFULL ones).
#define config_st_ext(dram_stride_bytes, act, acc_scale) \
    gemmini_extended2_config_st(dram_stride_bytes, act, acc_scale, 0, 0, 0, 0, 0, 0, 0, 0, 0)
// With a pool_stride, an mvout stores porows x pocols maxima over windows of pool_size x pool_size pixels of an image of
// orows x ocols rows of the accumulator; pixels outside of it (upad above, lpad to the left) count as 0.
#define gemmini_extended2_config_st(dram_stride_bytes, act, acc_scale, pool_stride, pool_size, pool_out_dim, porows, \
                                    pocols, orows, ocols, upad, lpad) \
    GA_(0, ((uint64_t)(ocols) << 56) | ((uint64_t)(orows) << 48) | ((uint64_t)(pocols) << 40) | \
            ((uint64_t)(porows) << 32) | ((uint64_t)(pool_out_dim) << 24) | ((uint64_t)(lpad) << 10) | \
            ((uint64_t)(upad) << 8) | ((uint64_t)(pool_size) << 6) | ((uint64_t)(pool_stride) << 4) | \
            ((uint64_t)(act) << 2) | 2, (ga_f2u_(acc_scale) << 32) | (uint32_t)(dram_stride_bytes))
#define config_st(dram_stride_bytes) config_st_ext(dram_stride_bytes, NOACT, 1.0f)
// Constants of iGELU, layernorm and softmax; the default hardware is built without them.
#define gemmini_config_norm(q_const, q_const_type, set_stats_id_only, act_msb, stat_id, igelu_qb, igelu_qc) \
    GA_(0, ((uint64_t)(uint32_t)(q_const) << 32) | ((uint64_t)(q_const_type) << 18) | \
            ((uint64_t)(set_stats_id_only) << 17) | ((uint64_t)(act_msb) << 16) | ((uint64_t)(stat_id) << 8) | 3, \
        ((uint64_t)(uint32_t)(igelu_qc) << 32) | (uint32_t)(igelu_qb))

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
#define gemmini_config_ex(dataflow, act, shift) gemmini_extended_config_ex(dataflow, act, shift, 1, 0, 0)
#define gemmini_extended_config_ex(dataflow, act, shift, A_stride, A_transpose, B_transpose) \
    gemmini_extended3_config_ex(dataflow, act, shift, 1.0f, 1, A_stride, A_transpose, B_transpose, 0)
#define gemmini_extended2_config_ex(dataflow, act, shift, A_stride, A_transpose, B_transpose) \
    gemmini_extended_config_ex(dataflow, act, shift, A_stride, A_transpose, B_transpose)
#define gemmini_config_ld(stride) gemmini_extended_config_ld(stride, 1.0f)
#define gemmini_extended_config_ld(stride, scale) gemmini_extended2_config_ld(stride, scale, 0)
#define gemmini_extended2_config_ld(stride, scale, shrunk) gemmini_extended3_config_ld(stride, scale, shrunk, 0)
#define gemmini_extended3_config_ld(stride, scale, shrunk, id) gemmini_extended4_config_ld(stride, scale, shrunk, DIM, id)
#define gemmini_extended4_config_ld(stride, scale, shrunk, block_stride, id) \
    gemmini_extended5_config_ld(stride, scale, shrunk, block_stride, 1, id)
#define gemmini_config_st(stride) config_st(stride)
#define gemmini_extended_config_st(stride, act, scale) config_st_ext(stride, act, scale)
#define gemmini_mvin(dram, local) mvin(dram, local, DIM, DIM)
#define gemmini_mvin2(dram, local) mvin2(dram, local, DIM, DIM)
#define gemmini_mvin3(dram, local) mvin3(dram, local, DIM, DIM)
#define gemmini_mvout(dram, local) mvout(dram, local, DIM, DIM)
#define gemmini_block_mvin(dram, local, blocks) mvin(dram, local, (blocks) * DIM, DIM)
#define gemmini_extended_mvin(dram, local, cols, rows) mvin(dram, local, cols, rows)
#define gemmini_extended_mvin2(dram, local, cols, rows) mvin2(dram, local, cols, rows)
#define gemmini_extended_mvin3(dram, local, cols, rows) mvin3(dram, local, cols, rows)
#define gemmini_extended_mvout(dram, local, cols, rows) mvout(dram, local, cols, rows)
#define gemmini_preload(B_local, C_local) preload(B_local, C_local, DIM, DIM, DIM, DIM)
#define gemmini_preload_zeros(C_local) gemmini_preload(NONE, C_local)
#define gemmini_extended_preload(B_local, C_local, B_cols, B_rows, C_cols, C_rows) \
    preload(B_local, C_local, B_cols, B_rows, C_cols, C_rows)
#define gemmini_compute_preloaded(A_local, D_local) compute_preloaded(A_local, D_local, DIM, DIM, DIM, DIM)
#define gemmini_compute_accumulated(A_local, D_local) compute_accumulated(A_local, D_local, DIM, DIM, DIM, DIM)
#define gemmini_extended_compute_preloaded(A_local, D_local, A_cols, A_rows, D_cols, D_rows) \
    compute_preloaded(A_local, D_local, A_cols, A_rows, D_cols, D_rows)
#define gemmini_extended_compute_accumulated(A_local, D_local, A_cols, A_rows, D_cols, D_rows) \
    compute_accumulated(A_local, D_local, A_cols, A_rows, D_cols, D_rows)

// ---- hardware loops: one command that becomes a whole tile's loads, products and stores, issued without the CPU.
// C = A x B + D in blocks of DIM, strides in elements, NULL skips an operand; pads are what the last blocks lack.
// config_ex, config_ld 0 (A), 1 (B), 2 (D) and config_st come before it. Consecutive loops use different halves of
// scratchpad and accumulator, each of which has to hold its loop.
#define gemmini_loop_ws(I, J, K, pad_I, pad_J, pad_K, A, B, D, C, A_stride, B_stride, D_stride, C_stride, A_transpose, \
                        B_transpose, full_C, low_D, ex_accumulate, act, a_spad_id, b_spad_id, is_resadd) \
    do { \
        GA_(9, GA_3_(pad_I, pad_J, pad_K), GA_3_(I, J, K)); \
        GA_(10, A, B); \
        GA_(11, D, C); \
        GA_(12, A_stride, B_stride); \
        GA_(13, D_stride, C_stride); \
        GA_(8, ((uint64_t)(a_spad_id) << 18) | ((uint64_t)(b_spad_id) << 16) | ((uint64_t)(act) << 8) | \
                ((uint64_t)(low_D) << 2) | ((uint64_t)(full_C) << 1) | (uint64_t)(ex_accumulate), \
            ((uint64_t)(is_resadd) << 2) | ((uint64_t)(B_transpose) << 1) | (uint64_t)(A_transpose)); \
    } while (0)
#define GA_3_(a, b, c) (((uint64_t)(c) << 32) | ((uint64_t)(b) << 16) | (uint64_t)(a))
#define GA_4_(a, b, c, d) (((uint64_t)(d) << 48) | GA_3_(a, b, c))

// Part of a convolution: batches x orows x ocols x pochs results from krows x kcols x kchs weights. Pointers are those of
// the part, dimensions those of the tensors, strides between pixels in elements. It sets config_ld 0, 1 and 2 itself;
// config_ex (A_stride: stride >> downsample) and config_st come before it.
#define gemmini_loop_conv_ws(batch_size, in_row_dim, in_col_dim, in_channels, out_channels, out_row_dim, out_col_dim, \
                             pool_out_row_dim, pool_out_col_dim, stride, padding, kernel_dim, kernel_dilation, pool_size, \
                             pool_stride, pool_padding, batches, porows, pocols, pochs, krows, kcols, kchs, lpad, rpad, \
                             upad, dpad, plpad, prpad, pupad, pdpad, orows, ocols, weights, output, bias, input, no_bias, \
                             no_pool, downsample, wrot180, input_dilated, activation, trans_output_1203, \
                             trans_weight_1203, trans_weight_0132, trans_input_3120, max_pixels_per_row, in_stride, \
                             weight_stride, out_stride, dw, a_spad_id, b_spad_id) \
    do { \
        GA_(16, GA_4_(batch_size, in_row_dim, in_channels, out_channels), \
            GA_3_(out_row_dim, pool_out_row_dim, out_col_dim) | ((uint64_t)(padding) << 56) | ((uint64_t)(stride) << 48)); \
        GA_(17, GA_4_(pool_padding, pool_size, pool_out_col_dim, kernel_dim) | ((uint64_t)(pool_stride) << 8), \
            GA_4_(pochs, pocols, porows, batches)); \
        GA_(18, GA_4_(lpad, kchs, kcols, krows), \
            GA_4_(in_col_dim, plpad, upad, rpad) | ((uint64_t)(dpad) << 24)); \
        GA_(19, ((uint64_t)(orows) << 48) | ((uint64_t)(prpad) << 32) | ((uint64_t)(pupad) << 21) | \
                ((uint64_t)(pdpad) << 10) | (uint64_t)(kernel_dilation), \
            GA_4_(ocols, out_stride, weight_stride, in_stride)); \
        GA_(20, weights, output); \
        GA_(21, bias, input); \
        GA_(15, ((uint64_t)(a_spad_id) << 18) | ((uint64_t)(b_spad_id) << 16) | ((uint64_t)(max_pixels_per_row) << 8) | \
                ((uint64_t)(dw) << 6) | ((uint64_t)(trans_input_3120) << 5) | ((uint64_t)(trans_weight_0132) << 4) | \
                ((uint64_t)(trans_weight_1203) << 3) | ((uint64_t)(trans_output_1203) << 2) | \
                ((uint64_t)(wrot180) << 1) | (uint64_t)(no_bias), \
            ((uint64_t)(activation) << 3) | ((uint64_t)(input_dilated) << 2) | ((uint64_t)(downsample) << 1) | \
                (uint64_t)(no_pool)); \
    } while (0)

// ---- eight performance counters. Events above COUNTER_EXTERNAL are read as they are, the others count cycles.
#define COUNTER_EXTERNAL 44
#define gemmini_counter_access(value, word) \
    asm volatile(".insn r 0x7b, 7, 126, %0, %1, x0" : "=r"(value) : "r"((uint64_t)(word)))
static inline uint32_t counter_word_(uint64_t word) {
    uint64_t value;
    gemmini_counter_access(value, word);
    return (uint32_t)value;
}
#define counter_read(index) counter_word_(((uint64_t)(index) & 7) << 4)
#define counter_configure(index, event) \
    ((void)counter_word_(((uint64_t)(index) & 7) << 4 | 8 | \
                         ((event) > COUNTER_EXTERNAL ? ((uint64_t)(event) - COUNTER_EXTERNAL) << 12 | 1ull << 31 \
                                                     : (uint64_t)(event) << 12)))
#define counter_snapshot_take() ((void)counter_word_(4))
#define counter_snapshot_reset() ((void)counter_word_(2))
#define counter_reset() ((void)counter_word_(1))

#endif
