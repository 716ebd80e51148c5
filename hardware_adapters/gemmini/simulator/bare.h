// Runs a whole bare-metal program (crt, HTIF printing and exit) unmodified.
#ifndef GEMSIM_BARE_H
#define GEMSIM_BARE_H

#include <stdint.h>

#include "config.h"

typedef struct BareOptions {
    const Config *config; // the accelerator
    int timed;            // Rocket and Gemmini timing; otherwise mcycle counts instructions, as on Spike
    int strict;           // reading local rows never written is a fault; otherwise they are 0, as on Spike
    int allow_misaligned; // plain loads and stores need not be aligned (Rocket traps)
    uint64_t limit_instructions;
} BareOptions;

// The program's exit status; 1 after a fault or when it cannot be loaded (said on stderr).
int bare_run(const char *elf_path, const BareOptions *);

#endif
