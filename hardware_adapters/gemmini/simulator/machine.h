// One simulated machine: memory, core, caches, accelerator, wired together.
#ifndef GEMSIM_MACHINE_H
#define GEMSIM_MACHINE_H

#include "config.h"
#include "gemmini.h"
#include "l2.h"
#include "memory.h"
#include "rocket.h"
#include "rv64.h"

typedef struct Machine {
    Memory *memory;
    L2 *l2;
    Gemmini *gemmini;
    Rocket *rocket;
    Hart *hart;
} Machine;

int machine_new(Machine *, const Config *); // 0 when out of memory
void machine_free(Machine *);
void machine_reset(Machine *, int timed);   // everything but memory

#endif
