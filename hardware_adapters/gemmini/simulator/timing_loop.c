#include "timing.h"

// The unroller sends one command after the other, in the order of the expansion.
uint64_t timing_loop(Timing *t, uint64_t cycle, const LoopOp *ops, size_t count) {
    for (size_t i = 0; i < count; i++) cycle = timing_command(t, cycle, &ops[i].op);
    return cycle;
}
