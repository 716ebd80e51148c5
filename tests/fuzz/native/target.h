// The fuzz targets: parts of gemsim that are given untrusted bytes, one function each.
#ifndef GEMSIM_FUZZ_TARGET_H
#define GEMSIM_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

typedef void Target(const uint8_t *data, size_t size);
Target fuzz_elf, fuzz_code, fuzz_commands, fuzz_job;
Target planted_overrun, planted_overflow, planted_hang; // break on purpose: the test of the tests

Target *target_named(const char *name); // NULL: there is none

typedef struct Input { // bytes that are eaten from the front; past the end come zeros
    const uint8_t *at;
    size_t left;
} Input;

static inline uint64_t eat(Input *in, unsigned bytes) {
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        if (!in->left) continue;
        v |= (uint64_t)*in->at++ << (8 * i);
        in->left--;
    }
    return v;
}

// A file that holds these bytes; its name is good until the next call.
const char *file_of(const uint8_t *data, size_t size);

// One machine per accelerator configuration, kept over all inputs as a process keeps one over all cases of a job.
typedef struct Machine Machine;
enum { CONFIGURATIONS = 4 };
Machine *machine_of(unsigned configuration, int timed);

// Its parts, for files that cannot see machine.h: the core's and the accelerator's private headers share names.
typedef struct Gemmini Gemmini;
typedef struct Memory Memory;
Gemmini *gemmini_of(Machine *);
Memory *memory_of(Machine *);

// Writes profile and timeline of a call that ended at `cycle` to nowhere.
void write_profile(Machine *, uint64_t cycle);

#endif
