// The shared L2 cache and the DRAM behind it, in time only: data always lives in Memory.
#ifndef GEMSIM_L2_H
#define GEMSIM_L2_H

#include <stdint.h>

typedef struct Config Config;
typedef struct L2 L2;

L2 *l2_new(const Config *);
void l2_reset(L2 *);

// Cycle at which the data of an access issued at `cycle` is there. Accesses may touch several lines.
uint64_t l2_access(L2 *, uint64_t cycle, uint64_t addr, unsigned bytes, int write);

// The same for one line or a part of it; when it is not there, the request waits for `stalled`. *missed: it had to be fetched.
uint64_t l2_request(L2 *, uint64_t cycle, uint64_t stalled, uint64_t addr, unsigned bytes, int write, int *missed);

// A read of a line that has been there for long, and is counted; 0 when it has not.
int l2_read_hit(L2 *, uint64_t cycle, uint64_t addr);

// Lines found and not found since the last mark.
void l2_mark(L2 *);
uint64_t l2_hits(const L2 *);
uint64_t l2_misses(const L2 *);

#endif
