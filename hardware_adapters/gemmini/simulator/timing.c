#include "units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const CAUSE_NAMES[CAUSES] = {
    "array_busy_cycles", "stall_wait_load", "stall_wait_store", "stall_wait_issue", "stall_bank_conflict_spad",
    "stall_bank_conflict_acc", "stall_dependency", "stall_config_ex", "stall_fence"};

enum { MAX_SLICES = 200000 };

Timing *timing_new(const Config *c, L2 *l2) {
    Timing *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->config = c;
    t->l2 = l2;
    timing_reset(t);
    return t;
}

void timing_reset(Timing *t) {
    const Config *c = t->config;
    Timing kept = {.config = c, .l2 = t->l2, .slice = t->slice, .recording = t->recording};
    memset(t, 0, sizeof *t);
    t->config = c;
    t->l2 = kept.l2;
    t->slice = kept.slice;
    t->recording = kept.recording;
    t->spad_bank_shift = (unsigned)__builtin_ctz(c->spad_rows / c->spad_banks);
    t->acc_bank_shift = (unsigned)__builtin_ctz(c->acc_rows / c->acc_banks);
    t->station.slots[UNIT_LOAD] = (1u << c->load_entries) - 1;
    t->station.slots[UNIT_STORE] = ((1u << c->store_entries) - 1) << c->load_entries;
    t->station.slots[UNIT_EXECUTE] = ((1u << c->execute_entries) - 1) << (c->load_entries + c->store_entries);
    load_reset(&t->load);
    execute_reset(&t->execute);
}

// --- time

// One cycle. Results leave the array whatever happens, then loads write, then the array reads, then stores read what is left.
static void step(Timing *t) {
    t->written = t->accumulated = t->read = 0;
    execute_write(t);
    load_write(t);
    t->causes[execute_step(t)]++;
    store_step(t);
    load_step(t);
    station_step(t);
    station_complete(t);
    t->now++;
}

static uint64_t wake(const Timing *t) {
    uint64_t next = earlier(earlier(station_wake(t), load_wake(t)), earlier(store_wake(t), execute_wake(t)));
    return later(next, t->now);
}

// At least one cycle, and at most up to `limit`.
static void step_until(Timing *t, uint64_t limit) {
    uint64_t next = earlier(wake(t), limit);
    if (next > t->now + 1 && next != NEVER) {
        t->causes[execute_idle_cause(t)] += next - t->now;
        t->now = next;
    } else step(t);
}

static int idle(const Timing *t) {
    return station_empty(t) && load_empty(t) && !t->store.started && t->now >= t->store.last_answer;
}

static void advance(Timing *t, uint64_t cycle) {
    while (t->now < cycle) {
        if (station_empty(t)) {
            t->causes[t->fencing ? FENCE : WAIT_ISSUE] += cycle - t->now;
            t->now = cycle;
        } else step_until(t, cycle);
    }
}

uint64_t timing_command(Timing *t, uint64_t cycle, const Op *op) {
    advance(t, cycle);
    while (station_full(t)) {
        uint64_t before = t->now;
        step_until(t, NEVER);
        t->queue_full += t->now - before;
    }
    station_push(t, op);
    t->array_cycles += op->kind == KIND_COMPUTE ? op->rows : 0;
    return t->now + 1;
}

uint64_t timing_fence(Timing *t, uint64_t cycle) {
    advance(t, cycle);
    t->fencing = 1;
    t->fences++;
    int waited = !idle(t);
    while (!idle(t)) {
        if (!station_empty(t)) step_until(t, NEVER);
        else { // rows on their way to memory
            t->causes[FENCE] += t->store.last_answer - t->now;
            t->now = t->store.last_answer;
        }
    }
    t->fencing = 0;
    return t->now + (waited ? t->config->fence_cycles : 1);
}

// --- counters

void timing_mark(Timing *t, uint64_t cycle) {
    advance(t, cycle);
    memset(t->causes, 0, sizeof t->causes);
    memset(t->busy, 0, sizeof t->busy);
    t->start = t->now;
    t->array_cycles = t->queue_full = t->fences = t->bytes_in = t->bytes_out = 0;
}

void timing_counters(Timing *t, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx) {
    for (int i = 0; i < CAUSES; i++) emit(ctx, CAUSE_NAMES[i], (int64_t)t->causes[i]);
    emit(ctx, "load_busy_cycles", (int64_t)t->busy[UNIT_LOAD]);
    emit(ctx, "store_busy_cycles", (int64_t)t->busy[UNIT_STORE]);
    emit(ctx, "array_rows", (int64_t)t->array_cycles);
    emit(ctx, "rocc_queue_full_cycles", (int64_t)t->queue_full);
    emit(ctx, "fence", (int64_t)t->fences);
    emit(ctx, "dma_bytes_in", (int64_t)t->bytes_in);
    emit(ctx, "dma_bytes_out", (int64_t)t->bytes_out);
}

void timing_slice(Timing *t, int slot, uint64_t start, uint64_t end) {
    const Op *op = &t->station.op[slot];
    if (end > start) t->busy[op->unit] += end - start;
    if (!t->recording) return;
    if (t->slices == MAX_SLICES) t->slices_lost++;
    else t->slice[t->slices++] = (Slice){start, end, op->pc, op->unit, op->kind};
}

void timing_record(Timing *t, int on) {
    if (on && !t->slice) t->slice = malloc(MAX_SLICES * sizeof *t->slice);
    t->recording = on && t->slice;
    if (on) t->slices = t->slices_lost = 0;
}

void timing_write_timeline(const Timing *t, FILE *out) {
    static const char *const KIND_NAMES[KINDS] = {"config", "config_ex", "mvin", "mvout", "preload", "compute"};
    for (unsigned i = 0; i < t->slices; i++) {
        const Slice *s = &t->slice[i];
        fprintf(out, "%s{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%" PRIu64 ",\"dur\":%" PRIu64 ",\"args\":{\"pc\":%" PRIu64 "}}", i ? ",\n" : "",
                KIND_NAMES[s->kind], s->unit + 2, s->start - t->start, s->end - s->start, s->pc);
    }
    if (t->slices_lost)
        fprintf(out, ",\n{\"name\":\"%u later events left out\",\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":%" PRIu64 "}", t->slices_lost, t->now - t->start);
}
