// Cycle model of the Rocket core around the interpreter: in-order single issue with a register scoreboard, L1 caches in
// front of the shared L2, branch prediction, the multiplier and divider. It models what the RTL measurements show
// (calibration rows `rocket_*` of the corpus and command-level traces), from the structure Rocket's generator documents.
#ifndef GEMSIM_ROCKET_H
#define GEMSIM_ROCKET_H

#include <stdint.h>

#include "l2.h"

// Cycles. Sources: "measured" = RTL corpus; "structure" = pipeline depth of the generator's default core.
enum {
    ROCKET_MISPREDICT = 3,      // measured: random branch +1.6 on average; structure: resolved in MEM
    ROCKET_LATE_REDIRECT = 2,   // structure: taken control flow unknown to the BTB is found after two fetch stages
    ROCKET_SPLIT_FETCH = 1,     // traces: a jump to a 4-byte instruction that lies across two fetch words
    ROCKET_MUL_BASE = 2,        // measured: dependent chain of small operands 4 per mul
    ROCKET_MUL_BITS = 8,        // structure: 8 multiplier bits per cycle, early out, at least 2 steps
    ROCKET_DIV_BASE = 2,        // measured: 18 for a quotient of up to 16 bits
    ROCKET_DIV_SIGNED = 3,      // fitted: corpus loops around divw and remw (c40); the microbenchmark above is divu
    ROCKET_DIV_GRANULARITY = 16, // structure: 1 quotient bit per cycle, leading zeros skipped 16 at a time
    ROCKET_DIRTY_FENCE = 1,     // fence: the memory pipeline empties
    ROCKET_REFILL_I = 15,       // measured: straight-line cold code 50 per line from DRAM, beyond what the L2 answers
    ROCKET_REFILL_D = 21,       // measured: a load that hits the L2 takes 31, one that misses it 64; detected in MEM, replayed, written back
    ROCKET_SYSTEM_FLUSH = 4,    // fence.i, CSR writes, mret: the pipeline restarts behind them
    // The measuring harness around solution(): 12 instructions and 11 cycles (warm) for an empty solution() with three
    // arguments, its ret included, which is simulated; each further argument is two instructions (measured: with D, 2 more).
    ROCKET_HARNESS_INSTRET = 5,
    ROCKET_HARNESS_CYCLES = 3, // and the idle fence, 1
    ROCKET_HARNESS_PER_ARGUMENT = 2,
    ROCKET_HARNESS_COLD = 50, // measured: 112 cycles cold = two instruction lines from DRAM, one is solution()'s own
    ROCKET_HARNESS_FRAME = 48 // bytes of stack its functions hold; their line is in the L1
};

enum { L1_SETS = 64, L1_WAYS = 4, L1_LINE = 64, BTB_ENTRIES = 28, BTB_HASH = 256, BHT_ENTRIES = 512, RAS_ENTRIES = 6 };

typedef struct L1 {
    uint64_t tag[L1_SETS][L1_WAYS]; // line address | 1 when valid
    uint8_t dirty[L1_SETS][L1_WAYS];
} L1;

typedef struct Rocket {
    uint64_t now;               // earliest issue cycle of the next instruction
    uint64_t ready[65];         // cycle from which each register can be read
    uint64_t divider_free, fp_divider_free, dcache_free;
    uint64_t icache_misses, dcache_misses, mispredictions; // since rocket_mark()
    L1 icache, dcache;
    uint32_t lfsr;              // L1 replacement is pseudo-random, as in the generator
    uint64_t btb_pc[BTB_ENTRIES], btb_target[BTB_ENTRIES], btb_used[BTB_ENTRIES], btb_clock;
    uint8_t btb_slot[BTB_HASH];
    uint8_t bht[BHT_ENTRIES];
    uint8_t history;
    uint64_t ras[RAS_ENTRIES];
    int ras_top, ras_depth;
    L2 *l2;
} Rocket;

Rocket *rocket_new(L2 *);
void rocket_free(Rocket *);
void rocket_reset(Rocket *);
void rocket_mark(Rocket *); // zeroes the event counters

void rocket_fetch_line(Rocket *, uint64_t line);                     // an instruction line is entered
uint64_t rocket_data(Rocket *, uint64_t cycle, uint64_t addr, int write); // cycle at which a load's data would be there on a hit
void rocket_warm_data(Rocket *, uint64_t addr); // brings a data line in before the measured time
void rocket_flush_icache(Rocket *);
void rocket_branch(Rocket *, uint64_t pc, uint64_t target, int taken);
enum { JUMP_DIRECT, JUMP_CALL, JUMP_INDIRECT, JUMP_INDIRECT_CALL, JUMP_RETURN };
void rocket_jump(Rocket *, uint64_t pc, uint64_t target, uint64_t link, int kind);
void rocket_push_return(Rocket *, uint64_t pc);
unsigned rocket_mul_latency(uint64_t multiplier, int high_half);
unsigned rocket_div_latency(uint64_t dividend, uint64_t divisor, int is_signed);

#endif
