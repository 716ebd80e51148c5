#include "l2.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"

// Tags only. DRAM is one channel: lines follow each other at the bus rate, and a line in another row of its bank pays for
// opening it. A line that is on its way can be asked for again; it is there for all when it comes.
enum { LINES_COMING = 16 };

struct L2 {
    const Config *config;
    uint64_t *tag;      // [set][way]: line address | VALID | DIRTY
    uint32_t lfsr;      // the victim is chosen at random, as in the cache of the measured system
    uint64_t dram_free; // cycle from which the DRAM bus is free
    uint64_t open_row[64];
    uint64_t coming[LINES_COMING], there_at[LINES_COMING];
    unsigned coming_next;
    uint64_t hits, misses;
};

enum { VALID = 1, DIRTY = 2, FLAGS = 63 };

L2 *l2_new(const Config *c) {
    L2 *l2 = calloc(1, sizeof *l2);
    if (!l2) return NULL;
    l2->config = c;
    l2->tag = calloc((size_t)c->l2_sets * c->l2_ways, sizeof *l2->tag);
    if (l2->tag) return l2;
    free(l2);
    return NULL;
}

void l2_reset(L2 *l2) {
    const Config *c = l2->config;
    uint64_t *tag = l2->tag;
    memset(tag, 0, (size_t)c->l2_sets * c->l2_ways * sizeof *tag);
    memset(l2, 0, sizeof *l2);
    l2->config = c;
    l2->tag = tag;
    l2->lfsr = 1;
    memset(l2->open_row, 0xff, sizeof l2->open_row);
}

void l2_mark(L2 *l2) { l2->hits = l2->misses = 0; }
uint64_t l2_hits(const L2 *l2) { return l2->hits; }
uint64_t l2_misses(const L2 *l2) { return l2->misses; }

static uint64_t *set_of(const L2 *l2, uint64_t line) {
    const Config *c = l2->config;
    return l2->tag + ((line / c->line_bytes) & (c->l2_sets - 1)) * c->l2_ways;
}

static uint64_t *find(const L2 *l2, uint64_t line) {
    uint64_t *set = set_of(l2, line);
    for (unsigned way = 0; way < l2->config->l2_ways; way++)
        if ((set[way] & ~(uint64_t)(FLAGS & ~VALID)) == (line | VALID)) return set + way;
    return NULL;
}

static uint64_t *victim(L2 *l2, uint64_t line) {
    uint64_t *set = set_of(l2, line);
    for (unsigned way = 0; way < l2->config->l2_ways; way++)
        if (!set[way]) return set + way;
    l2->lfsr = (l2->lfsr >> 1) ^ (l2->lfsr & 1 ? 0xb400u : 0u); // 16-bit maximal-length
    return set + l2->lfsr % l2->config->l2_ways;
}

// When the bus has moved a line to or from DRAM, in the order of the calls.
static uint64_t dram_line(L2 *l2, uint64_t cycle, uint64_t line) {
    const Config *c = l2->config;
    uint64_t row = line / c->dram_row_bytes, start = cycle > l2->dram_free ? cycle : l2->dram_free, bank = row % c->dram_banks;
    if (l2->open_row[bank] != row) start += c->dram_row_miss_cycles;
    l2->open_row[bank] = row;
    l2->dram_free = start + c->dram_line_cycles;
    return start + c->dram_latency_cycles;
}

static uint64_t coming_at(const L2 *l2, uint64_t line) {
    for (unsigned i = 0; i < LINES_COMING; i++)
        if (l2->coming[i] == line) return l2->there_at[i];
    return 0;
}

static uint64_t access_line(L2 *l2, uint64_t cycle, uint64_t line, int write, int fetch) {
    uint64_t *way = find(l2, line), ready = cycle + l2->config->l2_hit_cycles;
    if (way) {
        l2->hits++;
        uint64_t there = coming_at(l2, line);
        if (there > ready) ready = there;
    } else {
        l2->misses++;
        way = victim(l2, line);
        if (*way & DIRTY) l2->dram_free += l2->config->dram_write_back_cycles;
        *way = line | VALID;
        if (fetch) {
            ready += dram_line(l2, cycle, line) - cycle;
            l2->coming[l2->coming_next] = line;
            l2->there_at[l2->coming_next] = ready;
            l2->coming_next = (l2->coming_next + 1) % LINES_COMING;
        }
    }
    if (write) *way |= DIRTY;
    return ready;
}

uint64_t l2_access(L2 *l2, uint64_t cycle, uint64_t addr, unsigned bytes, int write) {
    unsigned size = l2->config->line_bytes;
    uint64_t ready = 0, last = (addr + (bytes ? bytes - 1 : 0)) & ~(uint64_t)(size - 1);
    for (uint64_t line = addr & ~(uint64_t)(size - 1); line <= last; line += size) {
        uint64_t at = access_line(l2, cycle, line, write, !(write && bytes >= size)); // a line overwritten as a whole is not fetched
        if (at > ready) ready = at;
    }
    return ready;
}

int l2_would_miss(const L2 *l2, uint64_t addr, unsigned bytes, int write) {
    return !(write && bytes >= l2->config->line_bytes) && !find(l2, addr & ~(uint64_t)(l2->config->line_bytes - 1));
}
