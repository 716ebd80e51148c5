#include "units.h"

#include <string.h>

// Execute unit. The array is fed a row a cycle: the rows of A of one compute and, beside them, the weights of the preload that
// follows. The two overlap only when that preload and its compute are both in the unit's queue already; otherwise the compute is
// fed alone and the weights after it, which makes 32 cycles of 16. Results leave a fixed time after their rows went in.

enum { LEAST_ROWS = 4 }; // RTL: fewer would let two results of the same row meet in the accumulator

void execute_reset(ExecuteUnit *u) {
    memset(u, 0, sizeof *u);
    u->compute = u->preload = u->target = u->a_bank = u->d_bank = -1;
}

// --- results

static void push_result(Timing *t, const Op *preload, unsigned row) {
    ExecuteUnit *u = &t->execute;
    if (u->results_count == ROWS_RING) return;
    unsigned i = (u->results_head + u->results_count++) % ROWS_RING;
    u->results[i] = (Result){t->now + t->config->array_latency_cycles, (uint8_t)bank_of(t, preload->writes.first + row * preload->row_stride),
                             preload->accumulate};
}

void execute_write(Timing *t) {
    ExecuteUnit *u = &t->execute;
    while (u->results_count) {
        const Result *r = &u->results[u->results_head];
        if (r->at > t->now) return;
        if (r->at == t->now) {
            t->written |= 1u << r->bank;
            if (r->accumulate) t->accumulated |= 1u << r->bank;
        }
        u->results_head = (u->results_head + 1) % ROWS_RING;
        u->results_count--;
    }
}

// --- tags: what is in the array, in order; a matmul leaves when the one behind it has been fed

static int tags_full(Timing *t) {
    ExecuteUnit *u = &t->execute;
    while (u->tags_count && u->tags[u->tags_head] <= t->now) u->tags_head = (u->tags_head + 1) % MAX_TAGS, u->tags_count--;
    unsigned held = 0;
    for (unsigned i = 0; i < u->tags_count; i++) held += u->tags[(u->tags_head + i) % MAX_TAGS] > t->now + t->config->feed_cycles;
    return held >= t->config->matmuls_in_array || u->tags_count == MAX_TAGS;
}

// --- operations

static int reads_rows_of(const Op *op, const Op *writer) {
    return op->a_row == writer->writes.first || op->b_row == writer->writes.first;
}

// A matmul in the array that still writes the scratchpad rows an operand starts at.
static int hazard(const Timing *t, const Op *first, const Op *second) {
    const ExecuteUnit *u = &t->execute;
    if (t->now >= u->drained) return 0;
    for (uint32_t live = t->station.live & t->station.slots[UNIT_EXECUTE]; live; live &= live - 1) {
        const Op *op = &t->station.op[__builtin_ctz(live)];
        if (op == first || op == second || op->kind != KIND_PRELOAD || op->writes.end == op->writes.first || op->writes.first >= ACC_BASE) continue;
        int behind = 0; // in the queue, not in the array
        for (int i = 0; i < t->station.issued[UNIT_EXECUTE].count; i++)
            behind |= &t->station.op[fifo_at(&t->station.issued[UNIT_EXECUTE], i, NEVER)] == op;
        if (!behind && (reads_rows_of(first, op) || reads_rows_of(second, op))) return 1;
    }
    return 0;
}

static void begin(Timing *t, int compute, int preload) {
    ExecuteUnit *u = &t->execute;
    const Op *c = compute >= 0 ? &t->station.op[compute] : NULL, *p = preload >= 0 ? &t->station.op[preload] : NULL;
    int weights = p && p->b_row != NO_ROW, left = c && c->a_row != NO_ROW, bias = c && c->b_row != NO_ROW;
    unsigned rows = LEAST_ROWS;
    if (left && c->rows > rows) rows = c->rows;
    if (bias && c->b_rows > rows) rows = c->b_rows;
    if (weights || (c && c->whole) || (p && p->whole)) rows = t->config->dim;
    u->active = 1;
    u->compute = compute;
    u->preload = preload;
    u->rows = rows;
    u->a_row = u->d_row = 0;
    u->a_bank = left ? bank_of(t, c->a_row) : -1;
    u->a_reads = left ? c->rows : 0;
    u->d_bank = weights ? bank_of(t, p->b_row) : -1;
    u->d_reads = weights ? p->b_rows : 0;
    u->began = t->now;
    u->tags[(u->tags_head + u->tags_count++) % MAX_TAGS] = NEVER;
}

// Starts what the head of the queue allows. 0: nothing can start in this cycle.
static int start(Timing *t) {
    ExecuteUnit *u = &t->execute;
    Fifo *queue = &t->station.issued[UNIT_EXECUTE];
    int first = fifo_at(queue, 0, t->now), second = fifo_at(queue, 1, t->now), third = fifo_at(queue, 2, t->now);
    if (first < 0) return 0;
    const Op *op = &t->station.op[first];
    if (op->kind == KIND_CONFIG_EX) {
        if (t->now < u->drained + t->config->config_ex_drain_cycles) return 0;
        station_done(t, first, UNIT_EXECUTE, t->now);
        fifo_pop(queue);
        fifo_hold(queue, t->now + 1);
        return 0;
    }
    if (tags_full(t)) return 0;
    if (op->kind == KIND_PRELOAD) {
        if (second < 0 || hazard(t, op, &t->station.op[second])) return 0;
        begin(t, -1, first);
    } else if (second >= 0 && third >= 0 && t->station.op[second].kind == KIND_PRELOAD && !hazard(t, &t->station.op[second], &t->station.op[third]))
        begin(t, first, second);
    else begin(t, first, -1);
    return 1;
}

static void finish(Timing *t) {
    ExecuteUnit *u = &t->execute;
    uint64_t out = t->now + t->config->array_latency_cycles;
    u->active = 0;
    if (u->tags_count > 1) u->tags[(u->tags_head + u->tags_count - 2) % MAX_TAGS] = out;
    if (u->compute >= 0) {
        fifo_pop(&t->station.issued[UNIT_EXECUTE]);
        station_done(t, u->compute, UNIT_EXECUTE, t->now + 1);
        timing_slice(t, u->compute, u->began, t->now + 1);
        if (u->target >= 0) {
            station_done(t, u->target, DONE_RESULTS, out);
            u->drained = out;
        }
        u->target = -1;
    }
    if (u->preload >= 0) {
        fifo_pop(&t->station.issued[UNIT_EXECUTE]);
        const Op *p = &t->station.op[u->preload];
        if (p->writes.end == p->writes.first) station_done(t, u->preload, UNIT_EXECUTE, t->now + 1);
        else u->target = u->preload;
    }
    fifo_hold(&t->station.issued[UNIT_EXECUTE], t->now + 1);
}

// One cycle of feeding: neither operand gets more than a row ahead; from the same bank they take turns, A first.
static enum Cause feed(Timing *t) {
    ExecuteUnit *u = &t->execute;
    unsigned a = u->a_row, d = u->d_row, skipped = u->d_bank >= 0 ? u->rows - u->d_reads : 0;
    int a_turn = a < u->rows && a <= d, d_turn = d < u->rows && d <= a, conflict = 0;
    if (a_turn && d_turn && a == d && u->a_bank >= 0 && u->a_bank == u->d_bank) d_turn = 0, conflict = 1;
    if (a_turn && u->a_bank >= 0 && a < u->a_reads) {
        if (t->written >> u->a_bank & 1) a_turn = 0, conflict = 1;
        else t->read |= 1u << u->a_bank;
    }
    if (d_turn && u->d_bank >= 0 && d >= skipped) { // the last row goes in first, so that padding comes first
        if (t->written >> u->d_bank & 1) d_turn = 0, conflict = 1;
        else t->read |= 1u << u->d_bank;
    }
    u->a_row += (unsigned)a_turn;
    u->d_row += (unsigned)d_turn;
    unsigned before = a < d ? a : d, fed = u->a_row < u->d_row ? u->a_row : u->d_row;
    if (fed > before && u->compute >= 0 && u->target >= 0) {
        const Op *target = &t->station.op[u->target];
        if (before < target->rows) push_result(t, target, before);
    }
    if (fed == u->rows) finish(t);
    if (u->compute >= 0 && a_turn) return ARRAY_BUSY;
    return conflict ? CONFLICT_SPAD : DEPENDENCY;
}

enum Cause execute_idle_cause(const Timing *t) {
    const Station *s = &t->station;
    const Fifo *issued = &s->issued[UNIT_EXECUTE], *unissued = &s->unissued[UNIT_EXECUTE];
    if (issued->count && s->op[issued->slot[issued->head]].kind == KIND_CONFIG_EX) return CONFIG_EX;
    if (unissued->count) {
        uint32_t mask = s->waits_for[unissued->slot[unissued->head]];
        if (mask & s->slots[UNIT_LOAD]) return WAIT_LOAD;
        if (mask & s->slots[UNIT_STORE]) return WAIT_STORE;
    }
    if (issued->count || unissued->count) return DEPENDENCY;
    // No execute command in the station: it is behind another unit's full queue, behind a fence, or not issued yet.
    if (s->queue_count && s->queue[s->queue_head].ready <= t->now) {
        if (s->queue[s->queue_head].op.unit == UNIT_LOAD) return WAIT_LOAD;
        if (s->queue[s->queue_head].op.unit == UNIT_STORE) return WAIT_STORE;
    }
    return t->fencing ? FENCE : WAIT_ISSUE;
}

enum Cause execute_step(Timing *t) { return t->execute.active || start(t) ? feed(t) : execute_idle_cause(t); }

uint64_t execute_wake(const Timing *t) {
    const ExecuteUnit *u = &t->execute;
    const Fifo *queue = &t->station.issued[UNIT_EXECUTE];
    if (u->active) return t->now;
    if (!queue->count) return NEVER;
    const Op *op = &t->station.op[queue->slot[queue->head]];
    uint64_t at = fifo_wake(queue);
    if (op->kind == KIND_CONFIG_EX) return later(at, u->drained + t->config->config_ex_drain_cycles);
    if (op->kind == KIND_PRELOAD) return queue->count < 2 ? NEVER : later(at, queue->at[(queue->head + 1) % MAX_STATION]);
    return at;
}
