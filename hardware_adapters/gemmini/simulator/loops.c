#include "units.h"

#include <stdlib.h>
#include <string.h>

// The unroller of the hardware loops. It holds two loops: each of its streams goes through the first and then, without
// waiting for the others, through the second. Every cycle the most urgent stream that can sends a command: results, products,
// D, then A and B as they are ordered: in turn for matrices, all weights first for convolutions. None sends more than its part
// of the station holds. The loads of two convolutions do not mix (LoopConv in the generator's source: arb, wait_for_prev_loop).

enum { UNROLLED = 2 }; // commands between the unroller and the station

static const uint8_t UNIT_OF[STREAMS] = {UNIT_LOAD, UNIT_LOAD, UNIT_LOAD, UNIT_EXECUTE, UNIT_STORE};

static void sort_streams(LoopRun *run) {
    size_t at[STREAMS], next = 0;
    memset(run->total, 0, sizeof run->total);
    for (size_t i = 0; i < run->count; i++) run->total[run->op[i].stream]++;
    for (int s = 0; s < STREAMS; s++) {
        at[s] = next;
        run->stream[s] = run->order + next;
        next += run->total[s];
    }
    for (size_t i = 0; i < run->count; i++) run->order[at[run->op[i].stream]++] = (uint32_t)i;
}

static int hold(LoopRun *run, const LoopOp *ops, size_t count) {
    if (count > run->capacity) {
        LoopOp *op = realloc(run->op, count * sizeof *op);
        if (op) run->op = op;
        uint32_t *order = realloc(run->order, count * sizeof *order);
        if (order) run->order = order;
        if (!op || !order) return 0;
        run->capacity = count;
    }
    memcpy(run->op, ops, count * sizeof *ops);
    run->count = count;
    memset(run->sent, 0, sizeof run->sent);
    sort_streams(run);
    return 1;
}

// The loop a stream works on: the first in which it has something to send. NULL: it is idle.
static LoopRun *run_of(Timing *t, int stream) {
    Loops *l = &t->loops;
    for (int i = 0; i < l->count; i++) {
        LoopRun *run = &l->run[(l->head + i) % LOOPS];
        if (run->sent[stream] < run->total[stream]) return run;
    }
    return NULL;
}

static const LoopOp *next_of(const LoopRun *run, int stream) { return &run->op[run->stream[stream][run->sent[stream]]]; }

static int all_loads_sent(const LoopRun *run) {
    for (int s = STREAM_A; s <= STREAM_D; s++)
        if (run->sent[s] < run->total[s]) return 0;
    return 1;
}

static int can_send(Timing *t, int stream) {
    const LoopRun *run = run_of(t, stream);
    if (!run || station_load(t, UNIT_OF[stream]) >= station_entries(t, UNIT_OF[stream])) return 0;
    const LoopOp *op = next_of(run, stream);
    for (int s = 0; s < STREAMS; s++)
        if (s != stream && run->sent[s] < op->after[s]) return 0;
    const LoopRun *first = &t->loops.run[t->loops.head];
    return run == first || !op->in_turn || all_loads_sent(first);
}

// A and B go by their order in the expansion; the first of two loops goes before the second.
static int a_or_b(Timing *t) {
    const LoopRun *a = run_of(t, STREAM_A), *b = run_of(t, STREAM_B);
    if (!a || !b) return a ? STREAM_A : STREAM_B;
    const LoopRun *first = &t->loops.run[t->loops.head];
    if (a != b) return a == first ? STREAM_A : STREAM_B;
    return a->stream[STREAM_A][a->sent[STREAM_A]] < b->stream[STREAM_B][b->sent[STREAM_B]] ? STREAM_A : STREAM_B;
}

// The stream that sends next, or -1.
static int choose(Timing *t) {
    if (!t->loops.count || t->station.queue_count >= UNROLLED) return -1;
    if (can_send(t, STREAM_C)) return STREAM_C;
    if (can_send(t, STREAM_EXECUTE)) return STREAM_EXECUTE;
    if (can_send(t, STREAM_D)) return STREAM_D;
    int load = a_or_b(t);
    return can_send(t, load) ? load : -1;
}

void loops_step(Timing *t) {
    int stream = choose(t);
    if (stream < 0) return;
    Loops *l = &t->loops;
    LoopRun *run = run_of(t, stream);
    const Op *op = &next_of(run, stream)->op;
    station_push(t, op, 1);
    t->array_cycles += op->kind == KIND_COMPUTE ? op->rows : 0;
    run->sent[stream]++;
    while (l->count && memcmp(l->run[l->head].sent, l->run[l->head].total, sizeof l->run[l->head].sent) == 0) {
        l->head = (l->head + 1) % LOOPS;
        l->count--;
    }
}

uint64_t loops_wake(Timing *t) { return choose(t) >= 0 ? t->now : NEVER; }

int loops_full(const Timing *t) { return t->loops.count == LOOPS; }

int loops_add(Timing *t, const LoopOp *ops, size_t count) {
    Loops *l = &t->loops;
    LoopRun *run = &l->run[(l->head + l->count) % LOOPS];
    if (!hold(run, ops, count)) return 0;
    l->count += count > 0;
    return 1;
}
