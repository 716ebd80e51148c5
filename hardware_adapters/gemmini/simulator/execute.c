#include "units.h"

#include <string.h>

// Execute unit. The array is fed a row a cycle: the rows of A of one compute and, beside them, the weights of the preload that
// follows. The two overlap only when that preload and its compute are both in the unit's queue already; otherwise the compute is
// fed alone and the weights after it, which makes 32 cycles of 16. Results leave a fixed time after their rows went in.

enum { LEAST_ROWS = 4 }; // RTL: fewer would let two results of the same row meet in the accumulator

void execute_reset(ExecuteUnit *u) {
    memset(u, 0, sizeof *u);
    u->compute = u->preload = u->target = -1;
    u->alone = WEIGHTS_ALONE;
}

// --- results

// An output-stationary result leaves behind the rows of the next matmul, or of a flush that pushes it out.
static unsigned result_latency(const Timing *t, int compute) {
    return t->config->array_latency_cycles + (compute >= 0 && t->station.op[compute].output_stationary ? t->config->dim : 0);
}

static void push_result(Timing *t, const Op *preload, unsigned row) {
    ExecuteUnit *u = &t->execute;
    if (u->results_count == ROWS_RING) return;
    unsigned i = (u->results_head + u->results_count++) % ROWS_RING;
    u->spad_results += preload->writes.first < ACC_BASE;
    int bank = bank_of(t, preload->writes.first + row * preload->row_stride);
    u->result_banks = (u->results_count > 1 ? u->result_banks : 0) | 1u << bank;
    u->results[i] = (Result){t->now + result_latency(t, u->compute), (uint8_t)bank, preload->accumulate};
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
        u->spad_results -= r->bank < t->config->spad_banks;
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

static int empty(Range r) { return r.end == r.first; }

static int starts_at(const Op *op, uint32_t row) {
    return (!empty(op->reads[0]) && op->reads[0].first == row) || (!empty(op->reads[1]) && op->reads[1].first == row);
}

static int in_queue(const Fifo *f, int slot) {
    for (int i = 0; i < f->count; i++)
        if (f->slot[(f->head + i) % MAX_STATION] == slot) return 1;
    return 0;
}

// A matmul in the array still writes the scratchpad rows at which an operand starts.
static int hazard(const Timing *t, const Op *first, const Op *second) {
    if (t->now >= t->execute.drained) return 0;
    for (uint32_t live = t->station.live & t->station.slots[UNIT_EXECUTE]; live; live &= live - 1) {
        int slot = __builtin_ctz(live);
        const Op *op = &t->station.op[slot];
        if (op == first || op == second || op->kind != KIND_PRELOAD || empty(op->writes) || op->writes.first >= ACC_BASE) continue;
        if ((starts_at(first, op->writes.first) || starts_at(second, op->writes.first)) && !in_queue(&t->station.issued[UNIT_EXECUTE], slot)) return 1;
    }
    return 0;
}

static Operand operand_rows(const Timing *t, const Op *op, int which) {
    if (!op || empty(op->reads[which])) return (Operand){.bank = -1};
    unsigned rows = which == 0 && op->kind == KIND_COMPUTE ? op->rows : op->reads[which].end - op->reads[which].first;
    return (Operand){.bank = bank_of(t, op->reads[which].first), .reads = rows};
}

static void begin(Timing *t, int compute, int preload) {
    ExecuteUnit *u = &t->execute;
    const Op *c = compute >= 0 ? &t->station.op[compute] : NULL, *p = preload >= 0 ? &t->station.op[preload] : NULL, *either = c ? c : p;
    u->operand[A] = operand_rows(t, c, 0);
    u->operand[B] = operand_rows(t, c, 1);
    u->operand[D] = operand_rows(t, p, 0);
    u->active = 1;
    u->compute = compute;
    u->preload = preload;
    u->rows = LEAST_ROWS;
    for (int i = A; i <= B; i++)
        if (u->operand[i].reads > u->rows) u->rows = u->operand[i].reads;
    if (u->operand[D].bank >= 0 || either->output_stationary || either->a_transpose || either->b_transpose) u->rows = t->config->dim;
    u->began = t->now;
    u->tags[(u->tags_head + u->tags_count++) % MAX_TAGS] = NEVER;
}

// Starts what the head of the queue allows. ARRAY_BUSY: something has started; else why not.
static enum Cause start(Timing *t) {
    ExecuteUnit *u = &t->execute;
    Fifo *queue = &t->station.issued[UNIT_EXECUTE];
    int first = fifo_at(queue, 0, t->now), second = fifo_at(queue, 1, t->now), third = fifo_at(queue, 2, t->now);
    if (first < 0) return execute_idle_cause(t);
    const Op *op = &t->station.op[first];
    if (op->kind == KIND_CONFIG_EX) {
        if (t->now < u->drained + t->config->config_ex_drain_cycles) return CONFIG_EX;
        station_done(t, first, UNIT_EXECUTE, t->now);
        fifo_pop(queue);
        fifo_hold(queue, t->now + 1);
        u->alone = CONFIG_EX;
        return execute_idle_cause(t);
    }
    if (op->kind == KIND_PRELOAD && second < 0) return execute_idle_cause(t);
    if (tags_full(t)) return ARRAY_FULL;
    if (op->kind == KIND_PRELOAD) {
        if (hazard(t, op, &t->station.op[second])) return DEPENDENCY;
        begin(t, -1, first);
        return ARRAY_BUSY;
    }
    int queued = second >= 0 && third >= 0 && t->station.op[second].kind == KIND_PRELOAD;
    int together = queued && !hazard(t, &t->station.op[second], &t->station.op[third]);
    begin(t, first, together ? second : -1);
    u->alone = queued ? DEPENDENCY : WEIGHTS_ALONE;
    return ARRAY_BUSY;
}

static void finish(Timing *t) {
    ExecuteUnit *u = &t->execute;
    uint64_t out = t->now + result_latency(t, u->compute);
    u->active = 0;
    if (u->tags_count > 1) u->tags[(u->tags_head + u->tags_count - 2) % MAX_TAGS] = out;
    if (u->compute >= 0) {
        fifo_pop(&t->station.issued[UNIT_EXECUTE]);
        station_done(t, u->compute, UNIT_EXECUTE, t->now + 1);
        timing_slice(t, u->compute, u->began, t->now + 1);
        if (u->target >= 0) {
            station_done(t, u->target, DONE_RESULTS, out);
            u->drained = out;
            timing_result(t, &t->station.op[u->target], out);
        }
        u->target = -1;
    }
    if (u->preload >= 0) {
        fifo_pop(&t->station.issued[UNIT_EXECUTE]);
        const Op *p = &t->station.op[u->preload];
        timing_slice(t, u->preload, u->began, t->now + 1);
        if (empty(p->writes)) station_done(t, u->preload, UNIT_EXECUTE, t->now + 1);
        else u->target = u->preload;
        unit_took(t);
    }
    fifo_hold(&t->station.issued[UNIT_EXECUTE], t->now + 1);
}

static unsigned least(const Operand *o) {
    unsigned rows = o[A].fed < o[B].fed ? o[A].fed : o[B].fed;
    return rows < o[D].fed ? rows : o[D].fed;
}

// One cycle of feeding: no operand gets more than a row ahead of another; from the same bank they take turns, A before B before D.
static enum Cause feed(Timing *t) {
    ExecuteUnit *u = &t->execute;
    unsigned before = least(u->operand);
    int conflict = 0, turn[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) turn[i] = u->operand[i].fed == before;
    for (int i = 0; i < OPERANDS; i++) {
        Operand *o = &u->operand[i];
        if (!turn[i]) continue;
        if (o->bank >= 0) {
            int behind = 0;
            for (int k = 0; k < i; k++) behind |= turn[k] && u->operand[k].bank == o->bank;
            // The last row of D goes in first, so that its padding does.
            int reads = i == D ? before >= u->rows - o->reads : before < o->reads, taken = reads && t->written >> o->bank & 1;
            if (behind || taken) {
                conflict = 1;
                continue;
            }
            if (reads) t->read |= 1u << o->bank;
        }
        o->fed++;
    }
    int busy = u->compute >= 0 && turn[A] && u->operand[A].fed > before;
    if (least(u->operand) > before && u->compute >= 0 && u->target >= 0) {
        const Op *target = &t->station.op[u->target];
        if (before < target->rows) push_result(t, target, before);
    }
    if (least(u->operand) == u->rows) finish(t);
    if (busy) return ARRAY_BUSY;
    return conflict || u->compute >= 0 ? CONFLICT_SPAD : u->alone; // beside a compute, the others catch up after a conflict
}

uint32_t execute_result_banks(const Timing *t) {
    const ExecuteUnit *u = &t->execute;
    return (u->results_count ? u->result_banks : 0) | (u->target >= 0 ? t->station.write_banks[u->target] : 0);
}

uint32_t execute_operand_banks(const Timing *t) {
    uint32_t banks = 0;
    for (int i = 0; i < OPERANDS; i++) banks |= t->execute.operand[i].bank >= 0 ? 1u << t->execute.operand[i].bank : 0;
    return banks;
}

unsigned execute_steady(const Timing *t) {
    const ExecuteUnit *u = &t->execute;
    const Operand *o = u->operand;
    if (!u->active || u->spad_results || o[A].fed != o[B].fed || o[A].fed != o[D].fed) return 0;
    if ((o[A].bank >= 0 && (o[A].bank == o[B].bank || o[A].bank == o[D].bank)) || (o[B].bank >= 0 && o[B].bank == o[D].bank)) return 0;
    return u->rows - o[A].fed - 1;
}

enum Cause execute_burst(Timing *t, unsigned cycles) {
    ExecuteUnit *u = &t->execute;
    const Op *target = u->compute >= 0 && u->target >= 0 ? &t->station.op[u->target] : NULL;
    for (unsigned i = 0; i < cycles; i++, t->now++) {
        if (target && u->operand[A].fed < target->rows) push_result(t, target, u->operand[A].fed);
        for (int k = 0; k < OPERANDS; k++) u->operand[k].fed++;
    }
    return u->compute >= 0 ? ARRAY_BUSY : u->alone;
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
    int lone = issued->count == 1 && s->op[issued->slot[issued->head]].kind == KIND_PRELOAD;
    if (unissued->count || (issued->count && !lone)) return DEPENDENCY;
    // No execute command in the station, or a preload without its compute: it is behind another unit's full queue, behind a
    // fence, or not issued yet.
    if (s->queue_count && s->queue[s->queue_head].ready <= t->now) {
        if (s->queue[s->queue_head].op.unit == UNIT_LOAD) return WAIT_LOAD;
        if (s->queue[s->queue_head].op.unit == UNIT_STORE) return WAIT_STORE;
    }
    return t->fencing ? FENCE : WAIT_ISSUE;
}

enum Cause execute_step(Timing *t) {
    enum Cause cause = t->execute.active ? ARRAY_BUSY : start(t);
    return cause == ARRAY_BUSY ? feed(t) : cause;
}

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
