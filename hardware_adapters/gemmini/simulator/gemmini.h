// The Gemmini accelerator: functional effect of its commands at once (program order), timing beside it.
#ifndef GEMSIM_GEMMINI_H
#define GEMSIM_GEMMINI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "l2.h"
#include "memory.h"

typedef struct Gemmini Gemmini;

Gemmini *gemmini_new(const Config *, Memory *, L2 *);
void gemmini_reset(Gemmini *, int timed);
void gemmini_zero_fill(Gemmini *); // rows never written read as 0 from now on, instead of being a fault

// One RoCC command issued at `cycle`. Returns the cycle at which the CPU may execute its next instruction (>= cycle + 1;
// later when the command queue is full; untimed: cycle + 1).
uint64_t gemmini_command(Gemmini *, uint64_t cycle, uint64_t pc, unsigned funct, uint64_t rs1, uint64_t rs2, uint64_t *rd);
uint64_t gemmini_fence(Gemmini *, uint64_t cycle); // cycle at which Gemmini is idle as the fence sees it
void gemmini_mark(Gemmini *, uint64_t cycle);      // start of a timed call: zero the counters
void gemmini_counters(const Gemmini *, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx);
void gemmini_profile_start(Gemmini *);
void gemmini_profile_write(Gemmini *, uint64_t cycle, FILE *json_fields, FILE *timeline_or_null); // cycle: the end of the call
void gemmini_describe(unsigned funct, uint64_t rs1, uint64_t rs2, char *text, size_t n);
uint64_t gemmini_command_count(const Gemmini *);
uint64_t gemmini_work(const Gemmini *); // what commands did beyond one command: a hardware loop's own, windows of pooling

#endif
