// How busy each unit is over one call, in at most 64 intervals of equal length: what a timeline shows, in few numbers.
#ifndef GEMSIM_ACTIVITY_H
#define GEMSIM_ACTIVITY_H

#include <stdint.h>
#include <stdio.h>

enum { ACTIVITY_UNITS = 3, ACTIVITY_INTERVALS = 64 };

typedef struct Activity {
    uint64_t start, end, width, cycles[ACTIVITY_UNITS][ACTIVITY_INTERVALS];
} Activity;

void activity_start(Activity *, uint64_t cycle);
void activity_add(Activity *, unsigned unit, uint64_t from, uint64_t to); // cycles in which it has a command that no earlier call named
void activity_end(Activity *, uint64_t cycle);
void activity_json(const Activity *, const char *const names[ACTIVITY_UNITS], FILE *); // an object: percent of each interval

#endif
