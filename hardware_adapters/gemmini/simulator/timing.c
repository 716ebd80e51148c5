#include "units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

static const char *const CAUSE_NAMES[CAUSES] = {
    "array_busy_cycles", "stall_wait_load", "stall_wait_store", "stall_wait_issue", "stall_bank_conflict_spad",
    "stall_weights_alone", "stall_array_full", "stall_dependency", "stall_config_ex", "stall_fence"};

enum { MAX_SLICES = 400000, STUCK_CYCLES = 100000 };

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
    Slice *slice = t->slice;
    Occupancy *occupancy = t->occupancy;
    L2 *l2 = t->l2;
    Loops loops = t->loops;
    int recording = t->recording;
    memset(t, 0, sizeof *t);
    t->config = c;
    t->l2 = l2;
    t->slice = slice;
    t->occupancy = occupancy;
    t->recording = recording;
    t->loops = loops;
    t->loops.count = 0;
    t->spad_bank_shift = (unsigned)__builtin_ctz(c->spad_rows / c->spad_banks);
    t->acc_bank_shift = (unsigned)__builtin_ctz(c->acc_rows / c->acc_banks);
    t->station.slots[UNIT_LOAD] = (1u << c->load_entries) - 1;
    t->station.slots[UNIT_STORE] = ((1u << c->store_entries) - 1) << c->load_entries;
    t->station.slots[UNIT_EXECUTE] = ((1u << c->execute_entries) - 1) << (c->load_entries + c->store_entries);
    load_reset(&t->load);
    execute_reset(&t->execute);
}

// --- time

enum { STORE_DUE = 1, STATION_DUE = 2, ALL_DUE = 3 };

// One cycle. Results leave the array whatever happens, then loads write, then the array reads, then stores read what is left.
static void cycle(Timing *t, int due) {
    t->written = t->accumulated = t->read = 0;
    execute_write(t);
    load_write(t);
    t->causes[execute_step(t)]++;
    if (due & STORE_DUE) store_step(t);
    load_step(t);
    if (due & STATION_DUE || t->changed) station_step(t); // a config_ex is complete in the cycle in which it starts
    if (t->loops.count) loops_step(t);
    t->now++;
}

static void skip(Timing *t, uint64_t to) {
    t->causes[execute_idle_cause(t)] += to - t->now;
    t->now = to;
}

// Loads alone: nothing else touches their banks, so that a cycle counts only if a request leaves or a command ends in it.
static void load_alone(Timing *t, uint64_t until) {
    t->load.last_write = later(t->load.last_write, t->now - 1); // rows that the array kept from their bank come from now on
    do {
        load_write_until(t, t->now);
        uint64_t stop = earlier(until, load_ends(t));
        do {
            if (!t->changed && load_burst(t, stop)) continue;
            load_step(t);
            t->now++;
        } while (t->now < stop && !t->changed && t->load.active >= 0 && t->load.next_request <= t->now && !load_backlog(t));
        uint64_t next = earlier(until, load_wake(t, 1));
        if (next > t->now && !t->changed) t->now = next;
    } while (t->now < until && !t->changed);
    load_write_until(t, t->now - 1);
}

// The array is fed undisturbed, and loads go on beside it when they use other banks.
static void execute_steadily(Timing *t, uint64_t until, uint64_t load) {
    uint64_t began = t->now;
    if (load >= until) t->now = until;
    else load_alone(t, until);
    unsigned cycles = (unsigned)(t->now - began);
    t->now = began;
    t->causes[execute_burst(t, cycles)] += cycles;
}

// Somebody waits, and nothing is due to happen: a few cycles of it are odd, many are for ever.
static void wait_in_vain(Timing *t) {
    const Fifo *queue = &t->station.issued[UNIT_EXECUTE];
    if (++t->stuck <= STUCK_CYCLES) return;
    int lone = t->execute.target >= 0 || (queue->count == 1 && t->station.op[queue->slot[queue->head]].kind == KIND_PRELOAD);
    fault_raise("deadlock", "the accelerator waits for ever%s", lone ? ": a preload starts only when its compute is behind it, and here a fence, "
                "a full queue or the end of the call comes first" : "");
}

// The array and loads, until one of them completes something or another unit has its turn.
static void execute_and_load(Timing *t, uint64_t until) {
    do {
        uint64_t load = load_wake(t, 0), execute = execute_wake(t), next = earlier(until, earlier(load, execute));
        uint32_t banks = load_banks(t);
        if (next != NEVER) t->stuck = 0;
        if (next == NEVER) wait_in_vain(t), cycle(t, ALL_DUE);
        else if (next > t->now) skip(t, next);
        else if (banks & execute_result_banks(t)) cycle(t, 0);
        else if (execute > t->now) {
            enum Cause cause = execute_idle_cause(t);
            uint64_t began = t->now;
            load_alone(t, earlier(until, execute));
            t->causes[cause] += t->now - began;
        } else {
            unsigned steady = execute_steady(t);
            uint64_t end = earlier(until, t->now + steady);
            if (banks & execute_operand_banks(t)) end = earlier(end, load);
            if (steady && end > t->now) execute_steadily(t, end, load);
            else cycle(t, 0);
        }
    } while (t->now < until && !t->changed);
}

// At least one cycle, and at most up to `limit`.
static void step_until(Timing *t, uint64_t limit) {
    uint64_t station = station_wake(t), store = store_wake(t), others = earlier(earlier(station, store), earlier(loops_wake(t), limit));
    t->changed = 0;
    if (others != NEVER) t->stuck = 0;
    if (t->config->every_cycle) {
        if (earlier(others, earlier(load_wake(t, 0), execute_wake(t))) != NEVER) t->stuck = 0;
        else wait_in_vain(t);
        cycle(t, ALL_DUE);
    } else if (others <= t->now) cycle(t, (store <= t->now ? STORE_DUE : 0) | (station <= t->now ? STATION_DUE : 0));
    else execute_and_load(t, others);
}

static int idle(const Timing *t) {
    return !t->loops.count && station_empty(t) && load_empty(t) && !t->store.started && t->now >= t->store.last_answer;
}

static void advance(Timing *t, uint64_t cycle) {
    while (t->now < cycle) {
        if (!t->loops.count && station_empty(t)) {
            t->causes[t->fencing ? FENCE : WAIT_ISSUE] += cycle - t->now;
            t->now = cycle;
        } else step_until(t, cycle);
    }
}

static void record(Timing *t, unsigned unit, unsigned kind, uint64_t pc, uint64_t start, uint64_t end) {
    if (t->slices == MAX_SLICES) t->slices_lost++;
    else t->slice[t->slices++] = (Slice){start, end, pc, (uint8_t)unit, (uint8_t)kind};
}

uint64_t timing_command(Timing *t, uint64_t cycle, const Op *op) {
    advance(t, cycle);
    uint64_t before = t->now;
    while (station_full(t) || t->loops.count) step_until(t, NEVER); // behind a loop, commands wait until it has been sent
    t->queue_full += t->now - before;
    if (t->recording && t->now > before) record(t, CPU, WAIT_QUEUE, op->pc, before, t->now);
    station_push(t, op, t->config->enter_cycles);
    t->array_cycles += op->kind == KIND_COMPUTE ? op->rows : 0;
    return t->now + 1;
}

uint64_t timing_loop(Timing *t, uint64_t cycle, const LoopOp *ops, size_t count) {
    advance(t, cycle);
    uint64_t before = t->now;
    while (loops_full(t)) step_until(t, NEVER);
    t->queue_full += t->now - before;
    if (t->recording && t->now > before) record(t, CPU, WAIT_QUEUE, count ? ops->op.pc : 0, before, t->now);
    return loops_add(t, ops, count) ? t->now + 1 : 0;
}

uint64_t timing_fence(Timing *t, uint64_t cycle) {
    advance(t, cycle);
    t->fencing = 1;
    t->fences++;
    uint64_t before = t->now;
    int waited = !idle(t);
    while (!idle(t)) {
        if (t->loops.count || !station_empty(t)) step_until(t, NEVER);
        else { // rows on their way to memory
            t->causes[FENCE] += t->store.last_answer - t->now;
            t->now = t->store.last_answer;
        }
    }
    t->fencing = 0;
    if (t->recording && t->now > before) record(t, CPU, WAIT_FENCE, 0, before, t->now);
    return t->now + (waited ? t->config->fence_cycles : 1);
}

// --- counters

void timing_mark(Timing *t, uint64_t cycle) {
    advance(t, cycle);
    memset(t->causes, 0, sizeof t->causes);
    memset(t->busy, 0, sizeof t->busy);
    memset(t->bank_wait, 0, sizeof t->bank_wait);
    t->start = t->now;
    t->array_cycles = t->queue_full = t->fences = t->bytes_in = t->bytes_out = 0;
    if (!t->recording) return;
    t->slices = t->slices_lost = 0;
    occupancy_start(t->occupancy, t->now);
    activity_start(&t->activity, t->now);
}

void timing_counters(Timing *t, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx) {
    for (int i = 0; i < CAUSES; i++) emit(ctx, CAUSE_NAMES[i], (int64_t)t->causes[i]);
    emit(ctx, "load_busy_cycles", (int64_t)t->busy[UNIT_LOAD]);
    emit(ctx, "store_busy_cycles", (int64_t)t->busy[UNIT_STORE]);
    emit(ctx, "load_bank_wait_cycles", (int64_t)t->bank_wait[UNIT_LOAD]);
    emit(ctx, "store_bank_wait_cycles", (int64_t)t->bank_wait[UNIT_STORE]);
    emit(ctx, "array_rows", (int64_t)t->array_cycles);
    emit(ctx, "rocc_queue_full_cycles", (int64_t)t->queue_full);
    emit(ctx, "fence", (int64_t)t->fences);
    emit(ctx, "dma_bytes_in", (int64_t)t->bytes_in);
    emit(ctx, "dma_bytes_out", (int64_t)t->bytes_out);
}

void timing_slice(Timing *t, int slot, uint64_t start, uint64_t end) {
    const Op *op = &t->station.op[slot];
    uint64_t alone = earlier(later(start, t->busy_until[op->unit]), end);
    t->busy[op->unit] += end - alone;
    t->busy_until[op->unit] = later(t->busy_until[op->unit], end);
    if (!t->recording) return;
    // Two loads are under way at a time, but slices of one track must not overlap; weights move in beside a compute.
    record(t, op->unit, op->kind, op->pc, op->unit == UNIT_EXECUTE ? start : alone, end);
    activity_add(&t->activity, op->unit, alone, end);
    for (int i = 0; i < 2; i++) occupancy_read(t->occupancy, op->reads[i], end);
    if (op->unit == UNIT_LOAD) occupancy_write(t->occupancy, op, end);
}

void timing_result(Timing *t, const Op *preload, uint64_t at) {
    if (t->recording) occupancy_write(t->occupancy, preload, at);
}

void timing_record(Timing *t, int on) {
    if (on && !t->slice) t->slice = malloc(MAX_SLICES * sizeof *t->slice);
    if (on && !t->occupancy) t->occupancy = occupancy_new(t->config);
    t->recording = on && t->slice && t->occupancy;
    t->slices = t->slices_lost = 0;
}

void timing_record_end(Timing *t, uint64_t cycle) {
    if (!t->recording) return;
    occupancy_end(t->occupancy, cycle);
    activity_end(&t->activity, cycle);
}

void timing_write_occupancy(const Timing *t, FILE *out) {
    if (t->recording) occupancy_json(t->occupancy, out);
    else fputs("null", out);
}

void timing_write_activity(const Timing *t, FILE *out) {
    static const char *const NAMES[UNITS] = {[UNIT_LOAD] = "load", [UNIT_STORE] = "store", [UNIT_EXECUTE] = "execute"};
    _Static_assert((int)ACTIVITY_UNITS == (int)UNITS, "a row of figures for each unit");
    if (t->recording) activity_json(&t->activity, NAMES, out);
    else fputs("null", out);
}

void timing_write_timeline(const Timing *t, FILE *out) {
    static const char *const KIND_NAMES[SLICE_KINDS] = {"config", "config_ex", "mvin", "mvout", "preload", "compute", "queue full", "fence"};
    static const int TRACKS[UNITS + 1] = {[CPU] = 1, [UNIT_LOAD] = 2, [UNIT_STORE] = 3, [UNIT_EXECUTE] = 4};
    for (unsigned i = 0; i < t->slices; i++) {
        const Slice *s = &t->slice[i];
        fprintf(out, "%s{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%" PRIu64 ",\"dur\":%" PRIu64 ",\"args\":{\"pc\":%" PRIu64 "}}", i ? ",\n" : "",
                KIND_NAMES[s->kind], TRACKS[s->unit], s->start - t->start, s->end - s->start, s->pc);
    }
    if (t->slices_lost)
        fprintf(out, ",\n{\"name\":\"%u later events left out\",\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":%" PRIu64 "}", t->slices_lost, t->now - t->start);
    if (t->recording) occupancy_events(t->occupancy, out);
}
