// When Gemmini's commands happen: command queue, reservation station, load, store and execute units, banks and DMA.
// It knows nothing of values; gemmini.c describes each command as an Op.
#ifndef GEMSIM_TIMING_H
#define GEMSIM_TIMING_H

#include <stdint.h>
#include <stdio.h>

#include "config.h"
#include "l2.h"

enum Unit { UNIT_LOAD, UNIT_STORE, UNIT_EXECUTE, UNITS };

enum OpKind { KIND_CONFIG, KIND_CONFIG_EX, KIND_MVIN, KIND_MVOUT, KIND_PRELOAD, KIND_COMPUTE, KINDS };

// Local rows first .. first + rows - 1, every `stride` rows a block of `block` rows; accumulator rows are numbered from ACC_BASE.
typedef struct Range {
    uint32_t first, end; // end == first: no operand
} Range;

enum { ACC_BASE = 1u << 24 };

typedef struct Op {
    uint8_t unit, kind;
    uint8_t zero_fill;          // mvin from address 0
    uint8_t full_width;         // 4-byte elements in DRAM
    uint8_t repeated;           // every row reads the same DRAM row
    uint8_t accumulate;         // adds to the accumulator rows it writes
    uint8_t whole;              // feeds DIM rows whatever its operands are: transposed, or output-stationary
    uint16_t rows, cols, blocks;
    uint32_t block_stride;
    uint64_t pc, dram, dram_stride;
    uint32_t row_bytes;
    Range reads[3], writes;     // local rows
    uint32_t a_row, b_row;      // first rows of A of a compute; of B of a preload or D of a compute; or NO_ROW
    uint16_t b_rows, row_stride; // rows at b_row; distance of the rows of C of a preload
} Op;

enum { NO_ROW = 0xffffffffu };

typedef struct Timing Timing;

Timing *timing_new(const Config *, L2 *);
void timing_reset(Timing *);
void timing_mark(Timing *, uint64_t cycle);                      // start of a timed call: zero the counters
uint64_t timing_command(Timing *, uint64_t cycle, const Op *);   // cycle at which the CPU can go on
uint64_t timing_fence(Timing *, uint64_t cycle);                 // cycle at which everything is done
void timing_counters(Timing *, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx);
void timing_record(Timing *, int on);                            // keep unit activity for the timeline
void timing_write_timeline(const Timing *, FILE *);              // Chrome trace events, comma separated

#endif
