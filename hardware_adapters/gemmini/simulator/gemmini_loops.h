// The hardware loops: one command that expands into many. What loop_ws and loop_conv_ws share.
#ifndef GEMSIM_GEMMINI_LOOPS_H
#define GEMSIM_GEMMINI_LOOPS_H

#include <stddef.h>
#include <stdint.h>

#include "timing.h"

enum { LOOP_REGISTERS = 6 }; // configuration commands before a run, at most
// The tiles that fit give some ten thousand; convolutions of large kernels and single channels could have millions.
enum { MAX_LOOP_COMMANDS = 1 << 18 };

typedef struct LoopState {
    uint64_t rs1[LOOP_REGISTERS], rs2[LOOP_REGISTERS];
    unsigned configured; // a bit for each configuration command since the last run
    unsigned runs, stores; // runs so far, and those of them that wrote results: they choose the halves
} LoopState;

typedef struct LoopTrace { // the expanded commands of one run
    LoopOp *op;
    size_t count, capacity;
    uint32_t sent[STREAMS];
    int loads_in_turn;
} LoopTrace;

typedef struct LoopAfter { // how much of each stream comes before a command
    uint32_t sent[STREAMS];
} LoopAfter;

typedef struct Gemmini Gemmini;

void loop_configure(Gemmini *, unsigned funct, uint64_t rs1, uint64_t rs2);
void loop_begin(Gemmini *, LoopState *, unsigned registers, const char *name); // all registers were set since the last run
void loop_end(LoopState *, int stores);
// One command of the expansion takes effect and is noted for the timing.
void loop_send(Gemmini *, unsigned stream, const LoopAfter *, unsigned funct, uint64_t rs1, uint64_t rs2);
// First row of the half of the scratchpad that a spad id (0: by turns) chooses.
uint32_t loop_spad_half(const Gemmini *, const LoopState *, unsigned spad_id, const char *name);
uint32_t loop_acc_half(const Gemmini *, const LoopState *);

void loop_matmul(Gemmini *, uint64_t rs1, uint64_t rs2);
void loop_conv(Gemmini *, uint64_t rs1, uint64_t rs2);

#endif
