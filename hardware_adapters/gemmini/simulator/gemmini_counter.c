#include <string.h>

#include "gemmini_state.h"

// The counter command. With timing, busy cycles and bytes are the model's; events that it does not follow read 0.
// Without timing the only clock is the count of instructions: a unit then counts as busy from the
// first command that moves or multiplies anything.

enum { EVENT_BITS = 6, EXTERNAL_LOADS = 1, EXTERNAL_STORES = 2, EXTERNAL_EXECUTES = 3 };

static const struct {
    unsigned event;
    int external;
    const char *name; // among the timing's counters
} FOLLOWED[] = {
    {1, 0, "load_busy_cycles"},  {2, 0, "store_busy_cycles"}, {3, 0, "array_busy_cycles"}, // cycles of each unit alone
    {9, 0, "load_busy_cycles"},  {12, 0, "store_busy_cycles"}, {24, 0, "array_busy_cycles"}, // active cycles of its controller
    {18, 0, "load_busy_cycles"}, {21, 0, "store_busy_cycles"},                             // of its DMA
    {25, 0, "stall_config_ex"},  {27, 0, "stall_dependency"},  {41, 0, "rocc_queue_full_cycles"},
    {4, 1, "dma_bytes_in"},      {5, 1, "dma_bytes_out"},
};

typedef struct Search {
    const char *name;
    int64_t value;
} Search;

static void match(void *ctx, const char *name, int64_t value) {
    Search *s = ctx;
    if (strcmp(s->name, name) == 0) s->value = value;
}

static int64_t station(const Gemmini *g, unsigned event) { // commands in the reservation station, at most
    const Config *c = g->config;
    unsigned unit = event == EXTERNAL_LOADS ? UNIT_LOAD : event == EXTERNAL_STORES ? UNIT_STORE : UNIT_EXECUTE;
    unsigned room = event == EXTERNAL_LOADS ? c->load_entries : event == EXTERNAL_STORES ? c->store_entries : c->execute_entries;
    return g->counters.issued[unit] < room ? (int64_t)g->counters.issued[unit] : (int64_t)room;
}

static int64_t total(const Gemmini *g, uint64_t cycle, unsigned event, int external) {
    for (size_t i = 0; i < sizeof FOLLOWED / sizeof *FOLLOWED; i++) {
        if (FOLLOWED[i].event != event || FOLLOWED[i].external != external) continue;
        if (!g->timed) return g->counters.running && !external ? (int64_t)(cycle - g->counters.started) : 0;
        Search s = {FOLLOWED[i].name, 0};
        timing_counters(g->timing, match, &s);
        return s.value;
    }
    return 0;
}

static int64_t value(const Gemmini *g, uint64_t cycle, unsigned index) {
    unsigned event = g->counters.counter[index].event;
    int external = g->counters.counter[index].external;
    if (external && event >= EXTERNAL_LOADS && event <= EXTERNAL_EXECUTES) return station(g, event);
    return total(g, cycle, event, external) - g->counters.counter[index].base;
}

static void rebase(Gemmini *g, uint64_t cycle, unsigned index) {
    g->counters.counter[index].base = total(g, cycle, g->counters.counter[index].event, g->counters.counter[index].external);
}

void counter_reset(Gemmini *g) {
    CounterFile *f = &g->counters;
    f->running = 0;
    memset(f->issued, 0, sizeof f->issued);
    for (unsigned i = 0; i < COUNTERS; i++) f->counter[i].base = 0;
}

void counter_note(Gemmini *g, uint64_t cycle, const Op *op) {
    CounterFile *f = &g->counters;
    if (!f->running && op->kind != KIND_CONFIG && op->kind != KIND_CONFIG_EX) {
        f->started = cycle;
        f->running = 1;
    }
    f->issued[op->unit]++;
}

uint64_t counter_access(Gemmini *g, uint64_t cycle, uint64_t rs1) {
    CounterFile *f = &g->counters;
    unsigned index = rs1 >> 4 & (COUNTERS - 1);
    if (rs1 & 1) {
        counter_reset(g);
        f->snapshot_taken = 0;
        for (unsigned i = 0; i < COUNTERS; i++) rebase(g, cycle, i);
    }
    if (rs1 >> 1 & 1) f->snapshot_taken = 0;
    else if (rs1 >> 2 & 1) {
        f->snapshot_taken = 1;
        for (unsigned i = 0; i < COUNTERS; i++) f->counter[i].snapshot = value(g, cycle, i);
    }
    if (rs1 >> 3 & 1) {
        f->counter[index].event = rs1 >> 12 & ((1u << EVENT_BITS) - 1);
        f->counter[index].external = rs1 >> 31 & 1;
        rebase(g, cycle, index);
    }
    return (uint64_t)(uint32_t)(f->snapshot_taken ? f->counter[index].snapshot : value(g, cycle, index));
}
