// The profile of one timed call: cycles per instruction address, traffic per buffer, and what the accelerator adds.
#ifndef GEMSIM_PROFILE_H
#define GEMSIM_PROFILE_H

#include "json.h"
#include "machine.h"

// Counters of the core for the call just run: "cycles", "instruction_misses", "data_misses", "mispredictions".
void write_core_counters(Json *, const Machine *, int timed, uint64_t cycles);

// Writes the profile and, when its path is not empty, the timeline. 0 with a text in error[300] when a file cannot be written.
int profile_write(const Machine *, const char *path, const char *timeline_path, uint64_t cycles, char *error);

#endif
