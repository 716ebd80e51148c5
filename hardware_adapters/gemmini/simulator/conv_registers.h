// loop_conv_ws's registers, read and checked. Sizes in elements, rows and pixels.
#ifndef GEMSIM_CONV_REGISTERS_H
#define GEMSIM_CONV_REGISTERS_H

#include <stdint.h>

#include "gemmini_loops.h"

typedef struct ConvRegisters {
    int64_t batch_size, in_row_dim, in_col_dim, in_channels, out_channels, out_row_dim, out_col_dim; // whole tensors
    int64_t pool_out_row_dim, pool_out_col_dim, stride, kernel_dim, kernel_dilation;
    int64_t in_stride, weight_stride, out_stride; // between pixels or rows of channels in DRAM
    int64_t pool_size, pool_stride;
    int64_t batches, porows, pocols, ochs, krows, kcols, ichs, orows, ocols; // this loop's part
    int64_t lpad, rpad, upad, dpad, plpad, pupad;
    uint64_t weights, output, bias, input; // DRAM, 0: skip
    int no_bias, rotated, out_1203, weight_1203, weight_0132, input_3120, depthwise, no_pool, downsample, dilated;
    int64_t activation;
    int64_t pixels_per_row;
    unsigned a_spad, b_spad;
} ConvRegisters;

ConvRegisters conv_registers(const LoopState *, uint64_t rs1, uint64_t rs2, unsigned dim);

#endif
