#include "rocket.h"

#include <stdlib.h>
#include <string.h>

Rocket *rocket_new(L2 *l2) {
    Rocket *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->l2 = l2;
    rocket_reset(r);
    return r;
}

void rocket_free(Rocket *r) { free(r); }

void rocket_reset(Rocket *r) {
    L2 *l2 = r->l2;
    memset(r, 0, sizeof *r);
    r->l2 = l2;
    r->lfsr = 1;
}

void rocket_mark(Rocket *r) { r->icache_misses = r->dcache_misses = r->mispredictions = 0; }

static unsigned victim_way(Rocket *r) {
    r->lfsr = (r->lfsr >> 1) ^ (r->lfsr & 1 ? 0xb400u : 0u); // 16-bit maximal-length
    return r->lfsr & (L1_WAYS - 1);
}

// 1 on a hit. On a miss the line is installed; *evicted is the address of a dirty line that leaves, or 0.
static int l1_lookup(Rocket *r, L1 *c, uint64_t line, int write, uint64_t *evicted) {
    unsigned set = (unsigned)(line / L1_LINE % L1_SETS);
    uint64_t tag = line | 1;
    *evicted = 0;
    for (int way = 0; way < L1_WAYS; way++) {
        if (c->tag[set][way] != tag) continue;
        c->dirty[set][way] |= (uint8_t)write;
        return 1;
    }
    unsigned way = L1_WAYS;
    for (unsigned i = 0; i < L1_WAYS && way == L1_WAYS; i++)
        if (!c->tag[set][i]) way = i;
    if (way == L1_WAYS) way = victim_way(r);
    if (c->tag[set][way] && c->dirty[set][way]) *evicted = c->tag[set][way] & ~1ull;
    c->tag[set][way] = tag;
    c->dirty[set][way] = (uint8_t)write;
    return 0;
}

void rocket_fetch_line(Rocket *r, uint64_t line) {
    uint64_t evicted;
    if (l1_lookup(r, &r->icache, line, 0, &evicted)) return;
    r->icache_misses++;
    r->now = l2_access(r->l2, r->now, line, L1_LINE, 0) + ROCKET_REFILL_I;
}

uint64_t rocket_data(Rocket *r, uint64_t cycle, uint64_t addr, int write) {
    uint64_t evicted, line = addr & ~(uint64_t)(L1_LINE - 1);
    uint64_t start = cycle;
    if (r->dcache_free > cycle) { // the cache blocks on a miss: this access is refused and replayed, and with it the pipeline
        start = r->dcache_free;
        r->now = start + 1;
    }
    if (l1_lookup(r, &r->dcache, line, write, &evicted)) return start;
    r->dcache_misses++;
    if (evicted) l2_access(r->l2, start, evicted, L1_LINE, 1);
    r->dcache_free = l2_access(r->l2, start, line, L1_LINE, 0) + ROCKET_REFILL_D;
    return r->dcache_free;
}

void rocket_warm_data(Rocket *r, uint64_t addr) {
    rocket_data(r, r->now, addr, 1);
    if (r->dcache_free > r->now) r->now = r->dcache_free;
}

void rocket_flush_icache(Rocket *r) { memset(&r->icache, 0, sizeof r->icache); }

static int btb_find(Rocket *r, uint64_t pc) {
    int slot = r->btb_slot[pc / 2 % BTB_HASH];
    if (slot >= BTB_ENTRIES || r->btb_pc[slot] != pc) return -1;
    r->btb_used[slot] = ++r->btb_clock;
    return slot;
}

static void btb_insert(Rocket *r, uint64_t pc, uint64_t target) {
    int slot = btb_find(r, pc);
    if (slot < 0) {
        slot = 0;
        for (int i = 1; i < BTB_ENTRIES; i++)
            if (r->btb_used[i] < r->btb_used[slot]) slot = i;
        r->btb_slot[pc / 2 % BTB_HASH] = (uint8_t)slot;
        r->btb_pc[slot] = pc;
        r->btb_used[slot] = ++r->btb_clock;
    }
    r->btb_target[slot] = target;
}

// One-bit counters, indexed by the fetch address and three bits hashed from eight outcomes of history. The multiplicative
// hash (sqrt(3)/2 * 256) is the generator's; it is why a strictly alternating branch mispredicts every time, as measured.
static unsigned bht_index(const Rocket *r, uint64_t pc) {
    uint64_t packet = pc >> 2;
    unsigned address = (unsigned)((packet & 511) ^ (packet >> 9 & 3));
    unsigned hashed = (221u * r->history & 255) >> 5;
    return address ^ hashed << 6;
}

void rocket_branch(Rocket *r, uint64_t pc, uint64_t target, int taken) {
    unsigned index = bht_index(r, pc);
    int predicted = r->bht[index];
    r->bht[index] = (uint8_t)taken;
    r->history = (uint8_t)(r->history >> 1 | taken << 7);
    if (predicted != taken) {
        r->now += ROCKET_MISPREDICT;
        r->mispredictions++;
    }
    if (!taken) return;
    if (btb_find(r, pc) < 0) {
        if (predicted) r->now += ROCKET_LATE_REDIRECT;
        btb_insert(r, pc, target);
    }
}

void rocket_push_return(Rocket *r, uint64_t pc) {
    r->ras_top = (r->ras_top + 1) % RAS_ENTRIES;
    r->ras[r->ras_top] = pc;
    if (r->ras_depth < RAS_ENTRIES) r->ras_depth++;
}

void rocket_jump(Rocket *r, uint64_t pc, uint64_t target, uint64_t link, int kind) {
    int slot = btb_find(r, pc), known = slot >= 0 && r->btb_target[slot] == target;
    if (kind == JUMP_RETURN) {
        int predicted = r->ras_depth > 0 && r->ras[r->ras_top] == target;
        if (r->ras_depth > 0) {
            r->ras_top = (r->ras_top + RAS_ENTRIES - 1) % RAS_ENTRIES;
            r->ras_depth--;
        }
        r->now += !predicted ? ROCKET_MISPREDICT : slot < 0 ? ROCKET_LATE_REDIRECT : 0;
        r->mispredictions += !predicted;
    } else if (!known) {
        int direct = kind == JUMP_DIRECT || kind == JUMP_CALL;
        r->now += direct ? ROCKET_LATE_REDIRECT : ROCKET_MISPREDICT;
        r->mispredictions += !direct;
    }
    if (!known) btb_insert(r, pc, target);
    if (kind == JUMP_CALL || kind == JUMP_INDIRECT_CALL) rocket_push_return(r, link);
}

static unsigned significant_bits(uint64_t v) { return v ? 64u - (unsigned)__builtin_clzll(v) : 0; }

unsigned rocket_mul_latency(uint64_t multiplier, int high_half) {
    unsigned steps = high_half ? 64 / ROCKET_MUL_BITS : (significant_bits(multiplier) + ROCKET_MUL_BITS - 1) / ROCKET_MUL_BITS;
    return ROCKET_MUL_BASE + (steps < 2 ? 2 : steps);
}

// The divider aligns dividend and divisor first, to a multiple of the granularity; a dividend that lies in a lower block
// than the divisor wraps around and takes all steps.
unsigned rocket_div_latency(uint64_t dividend, uint64_t divisor, int is_signed) {
    unsigned negations = 0;
    if (is_signed && (int64_t)dividend < 0) dividend = 0 - dividend, negations = 1;
    if (is_signed && (int64_t)divisor < 0) divisor = 0 - divisor, negations = 1;
    if (divisor == 0) return ROCKET_DIV_BASE + 64;
    unsigned high = (dividend ? significant_bits(dividend) - 1 : 0) | (ROCKET_DIV_GRANULARITY - 1);
    unsigned low = (significant_bits(divisor) - 1) & ~(unsigned)(ROCKET_DIV_GRANULARITY - 1);
    unsigned skipped = ~(high - low) & 63;
    return ROCKET_DIV_BASE + (is_signed ? ROCKET_DIV_SIGNED : 0u) + 2 * negations + 64 - (skipped >= ROCKET_DIV_GRANULARITY ? skipped : 0);
}
