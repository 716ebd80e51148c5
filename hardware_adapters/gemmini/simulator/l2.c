#include "l2.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"

// Tags only. DRAM is one channel: lines follow each other at the bus rate, and a jump costs a little more. A line that is on its way can be asked for again; it is there for all when it comes.
enum { LINES_COMING = 16, EIGHTHS = 8 };

struct L2 {
    const Config *config;
    unsigned line_shift;
    uint32_t *tag;      // [set][way]: line number * 4 | VALID | DIRTY
    uint32_t lfsr;      // the victim is chosen at random, as in the cache of the measured system
    uint64_t dram_free; // from when the DRAM bus is free, in eighths of a cycle
    uint64_t dram_block;
    uint64_t coming[LINES_COMING], there_at[LINES_COMING];
    unsigned coming_next;
    uint64_t last_there;
    uint64_t hits, misses;
};

enum { VALID = 1, DIRTY = 2 };

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
    uint32_t *tag = l2->tag;
    memset(tag, 0, (size_t)c->l2_sets * c->l2_ways * sizeof *tag);
    memset(l2, 0, sizeof *l2);
    l2->config = c;
    l2->line_shift = (unsigned)__builtin_ctz(c->line_bytes);
    l2->tag = tag;
    l2->lfsr = 1;
}

void l2_mark(L2 *l2) { l2->hits = l2->misses = 0; }
uint64_t l2_hits(const L2 *l2) { return l2->hits; }
uint64_t l2_misses(const L2 *l2) { return l2->misses; }

static uint32_t *set_of(const L2 *l2, uint64_t line) { return l2->tag + ((line >> l2->line_shift) & (l2->config->l2_sets - 1)) * l2->config->l2_ways; }

static uint32_t tag_of(const L2 *l2, uint64_t line) { return (uint32_t)(line >> l2->line_shift) << 2 | VALID; }

enum { USUAL_WAYS = 8 };
typedef uint32_t Ways __attribute__((vector_size(USUAL_WAYS * sizeof(uint32_t))));

static uint32_t *find_usual(uint32_t *set, uint32_t tag) { // without a branch for each way
    const Ways numbers = {1, 2, 3, 4, 5, 6, 7, 8};
    Ways ways;
    memcpy(&ways, set, sizeof ways);
    Ways found = (Ways)((ways & ~(uint32_t)DIRTY) == tag) & numbers;
    uint64_t part[USUAL_WAYS / 2];
    memcpy(part, &found, sizeof part);
    uint64_t any = (part[0] | part[1]) | (part[2] | part[3]);
    unsigned number = (unsigned)(any | any >> 32);
    return number ? set + number - 1 : NULL;
}

static uint32_t *find(const L2 *l2, uint64_t line) {
    uint32_t *set = set_of(l2, line), tag = tag_of(l2, line);
    if (l2->config->l2_ways == USUAL_WAYS) return find_usual(set, tag);
    for (unsigned way = 0; way < l2->config->l2_ways; way++)
        if ((set[way] & ~(uint32_t)DIRTY) == tag) return set + way;
    return NULL;
}

static uint32_t *victim(L2 *l2, uint64_t line) {
    uint32_t *set = set_of(l2, line);
    for (unsigned way = 0; way < l2->config->l2_ways; way++)
        if (!set[way]) return set + way;
    l2->lfsr = (l2->lfsr >> 1) ^ (l2->lfsr & 1 ? 0xb400u : 0u); // 16-bit maximal-length
    return set + l2->lfsr % l2->config->l2_ways;
}

// When the bus has moved a line to or from DRAM, in the order of the calls.
static uint64_t dram_line(L2 *l2, uint64_t cycle, uint64_t line) {
    const Config *c = l2->config;
    uint64_t block = line >> __builtin_ctz(c->dram_block_bytes), start = cycle * EIGHTHS > l2->dram_free ? cycle * EIGHTHS : l2->dram_free;
    if (l2->dram_block != block) start += c->dram_jump_eighths;
    l2->dram_block = block;
    l2->dram_free = start + c->dram_line_eighths;
    return start / EIGHTHS + c->dram_latency_cycles;
}

// 0 when it has been there for long.
static uint64_t coming_at(const L2 *l2, uint64_t line, uint64_t cycle) {
    if (l2->last_there <= cycle) return 0;
    for (unsigned i = 0; i < LINES_COMING; i++)
        if (l2->coming[i] == line) return l2->there_at[i];
    return 0;
}

uint64_t l2_request(L2 *l2, uint64_t cycle, uint64_t stalled, uint64_t addr, unsigned bytes, int write, int *missed) {
    const Config *c = l2->config;
    uint64_t line = addr & ~(uint64_t)(c->line_bytes - 1), ready = cycle + c->l2_hit_cycles;
    uint32_t *way = find(l2, line);
    *missed = 0;
    if (way) {
        l2->hits++;
        uint64_t there = coming_at(l2, line, cycle);
        if (there > ready) ready = there;
    } else {
        l2->misses++;
        way = victim(l2, line);
        if (*way & DIRTY) l2->dram_free += c->dram_write_back_eighths;
        *way = tag_of(l2, line);
        *missed = !(write && bytes >= c->line_bytes); // a line overwritten as a whole is not fetched
        if (*missed) {
            ready = dram_line(l2, cycle > stalled ? cycle : stalled, line) + c->l2_hit_cycles;
            l2->coming[l2->coming_next] = line;
            l2->there_at[l2->coming_next] = l2->last_there = ready;
            l2->coming_next = (l2->coming_next + 1) % LINES_COMING;
        }
    }
    if (write) *way |= DIRTY;
    return ready;
}

int l2_read_hit(L2 *l2, uint64_t cycle, uint64_t addr) {
    int there = l2->last_there <= cycle && find(l2, addr & ~(uint64_t)(l2->config->line_bytes - 1));
    l2->hits += (unsigned)there;
    return there;
}

uint64_t l2_access(L2 *l2, uint64_t cycle, uint64_t addr, unsigned bytes, int write) {
    unsigned size = l2->config->line_bytes;
    uint64_t ready = 0, last = (addr + (bytes ? bytes - 1 : 0)) & ~(uint64_t)(size - 1);
    for (uint64_t line = addr & ~(uint64_t)(size - 1);; line += size) {
        int missed;
        uint64_t at = l2_request(l2, cycle, 0, line, bytes, write, &missed);
        if (at > ready) ready = at;
        if (line == last) return ready; // not `line > last`: the last line of the address space has none behind it
    }
}
