// How much of the local memories holds something that is still needed, over the time of a profiled call.
#ifndef GEMSIM_OCCUPANCY_H
#define GEMSIM_OCCUPANCY_H

#include <stdint.h>
#include <stdio.h>

#include "config.h"
#include "timing.h"

typedef struct Occupancy Occupancy;

Occupancy *occupancy_new(const Config *); // NULL: out of memory
void occupancy_start(Occupancy *, uint64_t cycle);
void occupancy_read(Occupancy *, Range, uint64_t cycle);
void occupancy_write(Occupancy *, const Op *, uint64_t cycle); // the rows that the command writes; accumulating reads them first
void occupancy_end(Occupancy *, uint64_t cycle);
void occupancy_json(const Occupancy *, FILE *);                // an object: average rows live in each interval
void occupancy_events(const Occupancy *, FILE *);              // counter tracks of a timeline, a comma before each event

#endif
