#include "l2.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"

// One line per request; tags with least-recently-used replacement. DRAM is one channel: lines follow each other at the
// bus rate, and a line in another row of its bank pays for opening it.
struct L2 {
    const Config *config;
    uint64_t *tag;  // [set][way]: line address | 1 when valid
    uint64_t *used; // time of the last access, for LRU
    uint64_t clock;
    uint64_t dram_free; // cycle from which the DRAM bus is free
    uint64_t open_row[64];
    uint64_t hits, misses;
};

L2 *l2_new(const Config *c) {
    L2 *l2 = calloc(1, sizeof *l2);
    if (!l2) return NULL;
    size_t lines = (size_t)c->l2_sets * c->l2_ways;
    l2->config = c;
    l2->tag = calloc(lines, sizeof *l2->tag);
    l2->used = calloc(lines, sizeof *l2->used);
    if (l2->tag && l2->used) return l2;
    free(l2->tag);
    free(l2->used);
    free(l2);
    return NULL;
}

void l2_reset(L2 *l2) {
    size_t lines = (size_t)l2->config->l2_sets * l2->config->l2_ways;
    memset(l2->tag, 0, lines * sizeof *l2->tag);
    memset(l2->used, 0, lines * sizeof *l2->used);
    memset(l2->open_row, 0xff, sizeof l2->open_row);
    l2->clock = l2->dram_free = 0;
    l2_mark(l2);
}

void l2_mark(L2 *l2) { l2->hits = l2->misses = 0; }
uint64_t l2_hits(const L2 *l2) { return l2->hits; }
uint64_t l2_misses(const L2 *l2) { return l2->misses; }

// 1 when the line is there; otherwise it takes the place of the least recently used line of its set.
static int touch(L2 *l2, uint64_t line) {
    const Config *c = l2->config;
    size_t first = ((line / c->line_bytes) & (c->l2_sets - 1)) * c->l2_ways, victim = first;
    l2->clock++;
    for (size_t i = first; i < first + c->l2_ways; i++) {
        if (l2->tag[i] == (line | 1)) return l2->used[i] = l2->clock, 1;
        if (l2->used[i] < l2->used[victim]) victim = i;
    }
    l2->tag[victim] = line | 1;
    l2->used[victim] = l2->clock;
    return 0;
}

static uint64_t dram_line(L2 *l2, uint64_t cycle, uint64_t line) {
    const Config *c = l2->config;
    uint64_t row = line / c->dram_row_bytes, start = cycle > l2->dram_free ? cycle : l2->dram_free, bank = row % c->dram_banks;
    if (l2->open_row[bank] != row) start += c->dram_row_miss_cycles;
    l2->open_row[bank] = row;
    l2->dram_free = start + c->dram_line_cycles;
    return start + c->dram_latency_cycles;
}

uint64_t l2_access(L2 *l2, uint64_t cycle, uint64_t addr, unsigned bytes, int write) {
    const Config *c = l2->config;
    uint64_t ready = cycle, last = (addr + (bytes ? bytes - 1 : 0)) & ~(uint64_t)(c->line_bytes - 1);
    for (uint64_t line = addr & ~(uint64_t)(c->line_bytes - 1); line <= last; line += c->line_bytes) {
        uint64_t at = cycle;
        if (touch(l2, line)) l2->hits++;
        else {
            l2->misses++;
            // A whole line that is overwritten is not fetched (RTL: mvout_cold_64x16 against 16x16).
            if (!(write && bytes >= c->line_bytes)) at = dram_line(l2, cycle, line);
        }
        if (at > ready) ready = at;
    }
    return ready + c->l2_hit_cycles;
}
