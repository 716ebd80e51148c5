#include "units.h"

#include <string.h>

// Gemmini's port into the shared L2 cache. Reader and writer share it: a request is one cycle of the request channel, a write
// one for each beat; an answer is one cycle of the answer channel for each beat read, and one for each write acknowledged.

void port_reset(Port *p) { memset(p, 0, sizeof *p); }

// First cycle from `from` on with `cycles` free ones in a row; takes them.
static inline uint64_t take(Channel *c, uint64_t from, unsigned cycles) {
    if (cycles == 1 && c->taken[from % SLOTS] != from) return c->taken[from % SLOTS] = from;
    while (c->taken[c->full_until % SLOTS] == c->full_until) c->full_until++;
    uint64_t start = later(from, c->full_until);
    for (unsigned have = 0; have < cycles;)
        if (c->taken[(start + have) % SLOTS] == start + have) start += have + 1, have = 0;
        else have++;
    for (unsigned i = 0; i < cycles; i++) c->taken[(start + i) % SLOTS] = start + i;
    return start;
}

// The L2 looks a line up. When it misses, a miss register has to be free, and the requests behind wait with it.
static uint64_t look_up(Timing *t, uint64_t request, uint64_t addr, unsigned bytes, int write, int *missed) {
    Port *p = &t->port;
    uint64_t stalled = later(p->stalled_until, p->miss_done[p->next_miss]);
    uint64_t ready = l2_request(t->l2, request, stalled, addr, bytes, write, missed);
    if (!*missed) return ready;
    p->stalled_until = stalled;
    p->miss_done[p->next_miss] = ready > 2 ? ready - 2 : 0; // traces: requests go on two cycles before the first beat
    for (unsigned i = 0; i < t->config->l2_misses; i++)
        if (p->miss_done[i] < p->miss_done[p->next_miss]) p->next_miss = i;
    return ready;
}

// `occupied`: cycles the reader is busy with the answer. Returns the cycle in which the request left.
uint64_t port_read(Timing *t, uint64_t cycle, uint64_t addr, unsigned bytes, unsigned occupied, Beats *beats) {
    const Config *c = t->config;
    Port *p = &t->port;
    uint64_t request = take(&p->requests, later(cycle, p->stalled_until), 1);
    int missed;
    uint64_t ready = look_up(t, request, addr, bytes, 0, &missed);
    unsigned n = bytes >> __builtin_ctz(c->beat_bytes);
    beats->apart = missed ? c->dram_beat_cycles : 1;
    beats->first = take(&p->answers, ready, beats->apart * (n - 1) + 1 + (occupied - n));
    beats->last = beats->first + beats->apart * (n - 1);
    t->bytes_in += bytes;
    return request;
}

int port_read_at_once(Timing *t, uint64_t cycle, uint64_t addr, uint64_t *answer) {
    Port *p = &t->port;
    uint64_t ready = cycle + t->config->l2_hit_cycles;
    if (p->stalled_until > cycle || p->requests.taken[cycle % SLOTS] == cycle || p->answers.taken[ready % SLOTS] == ready) return 0;
    if (!l2_read_hit(t->l2, cycle, addr)) return 0;
    p->requests.taken[cycle % SLOTS] = cycle;
    *answer = p->answers.taken[ready % SLOTS] = ready;
    t->bytes_in += t->config->beat_bytes;
    return 1;
}

// `cost`: cycles of the request channel. Returns the cycle in which the first beat left; *answer: acknowledged.
uint64_t port_write(Timing *t, uint64_t cycle, uint64_t addr, unsigned beats, unsigned cost, uint64_t *answer) {
    Port *p = &t->port;
    uint64_t request = take(&p->requests, later(cycle, p->stalled_until), cost);
    int missed;
    uint64_t ready = look_up(t, request + beats - 1, addr, beats * t->config->beat_bytes, 1, &missed);
    *answer = take(&p->answers, ready, 1);
    return request;
}
