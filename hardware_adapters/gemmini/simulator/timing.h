// When Gemmini's commands happen: command queue, reservation station, load, store and execute units, banks and DMA.
// It knows nothing of values; gemmini.c describes each command as an Op.
#ifndef GEMSIM_TIMING_H
#define GEMSIM_TIMING_H

#include <stddef.h>
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
    uint8_t scaled;             // mvin: by something else than 1
    uint8_t accumulate;         // adds to the accumulator rows it writes
    uint16_t rows, cols, blocks;
    uint32_t block_stride;
    uint64_t pc, dram, dram_stride;
    uint32_t row_bytes;
    Range reads[2], writes;     // local rows: preload reads its stationary operand, compute A and its other operand
    uint16_t row_stride;        // preload: distance of the rows of C, of which there are `rows`
    uint8_t output_stationary, a_transpose, b_transpose; // preload and compute
    uint8_t pixel_repeats;      // mvin: rows that each row is written to
    uint8_t pool_size;          // mvout: side of the window, 0 without pooling; rows are outputs then, and reads all rows of the image
    uint8_t norm_command;       // mvout: not 0 when it only computes statistics and writes nothing
    uint8_t activation;         // mvout: 0 none, 1 ReLU, 2 layernorm, 3 iGELU, 4 softmax
} Op;

// A command of a hardware loop. The unroller sends each stream in its order, and this command not before after[s]
// commands of every stream s have been sent.
enum LoopStream { STREAM_A, STREAM_B, STREAM_D, STREAM_EXECUTE, STREAM_C, STREAMS };

typedef struct LoopOp {
    Op op;
    uint8_t stream;
    uint8_t in_turn; // not 0: nor before the loop in front has sent all its loads
    uint32_t after[STREAMS];
} LoopOp;

typedef struct Timing Timing;

Timing *timing_new(const Config *, L2 *);
void timing_reset(Timing *);
void timing_mark(Timing *, uint64_t cycle);                      // start of a timed call: zero the counters
uint64_t timing_command(Timing *, uint64_t cycle, const Op *);   // cycle at which the CPU can go on
uint64_t timing_loop(Timing *, uint64_t cycle, const LoopOp *ops, size_t count); // the same for a whole hardware loop; 0: out of memory
uint64_t timing_fence(Timing *, uint64_t cycle);                 // cycle at which everything is done
void timing_counters(Timing *, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx);
void timing_record(Timing *, int on);                            // keep unit activity and occupancy of the call that follows
void timing_record_end(Timing *, uint64_t cycle);
void timing_write_occupancy(const Timing *, FILE *);             // a JSON object
void timing_write_activity(const Timing *, FILE *);              // a JSON object
void timing_write_timeline(const Timing *, FILE *);              // Chrome trace events, comma separated

#endif
