/* Runs a block: its warps in turn, each until all its lanes wait at a barrier or have ended. */
#include "cpusim.h"

uint3 current_block;
unsigned threads_in_block, warps_in_block;
uint16_t warp_epoch[MAX_WARPS];
uint32_t segment = 1, block_first, launch_first, last_fence;
int block_has_atomics;
extern struct { unsigned x, y, z; } blockIdx;
enum { BARRIER_PLAIN, BARRIER_COUNT, BARRIER_AND, BARRIER_OR };
#define MAX_IDLE_ROUNDS 2000u

static uint64_t random_state;
static unsigned random_below(unsigned bound) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 33) % bound);
}

static void make_order(uint8_t *order, unsigned count) {
    for (unsigned i = 0; i < count; i++) order[i] = (uint8_t)(job.order == 1 ? count - 1 - i : i);
    for (unsigned i = count; job.order == 2 && i > 1; i--) {
        unsigned other = random_below(i);
        uint8_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

static unsigned run_warp(unsigned warp, const uint8_t *order) {
    Fiber *lanes = &fibers[warp * WARP];
    unsigned count = threads_in_block - warp * WARP < WARP ? threads_in_block - warp * WARP : WARP;
    unsigned ran = 0;
    for (;;) {
        unsigned waiting = 0, yielded = 0;
        for (unsigned i = 0; i < WARP; i++) {
            Fiber *fiber = &lanes[order[i]];
            if (order[i] >= count) continue;
            if (fiber->state == READY || fiber->state == YIELDED) {
                fiber_enter(fiber);
                ran++;
            }
            waiting += fiber->state == AT_WARP;
            yielded += fiber->state == YIELDED;
        }
        if (!waiting || (!warp_resolve(lanes, count, yielded == 0) && yielded)) break;
    }
    if (job.trace) trace_flush_warp();
    return ran;
}

static void check_barrier(void) {
    const Fiber *first = NULL, *odd = NULL;
    for (unsigned tid = 0; tid < threads_in_block; tid++) {
        const Fiber *fiber = &fibers[tid];
        if (fiber->state != AT_BARRIER) {
            if (!odd) odd = fiber;
        } else if (!first)
            first = fiber;
    }
    if (odd)
        fault_of(first, "divergent_barrier", 0, first->line,
                 "thread (%u,%u,%u) waits at __syncthreads in line %d, but thread (%u,%u,%u) has ended and never comes: "
                 "every thread of the block has to reach the barrier",
                 first->index.x, first->index.y, first->index.z, first->line, odd->index.x, odd->index.y, odd->index.z);
    for (unsigned tid = 0; tid < threads_in_block; tid++) {
        odd = &fibers[tid];
        if (odd->line != first->line || odd->op != first->op)
            fault_of(first, "divergent_barrier", 0, first->line,
                     "thread (%u,%u,%u) waits at the barrier in line %d while thread (%u,%u,%u) waits at the one in line %d",
                     first->index.x, first->index.y, first->index.z, first->line, odd->index.x, odd->index.y,
                     odd->index.z, odd->line);
    }
}

static void release_barrier(void) {
    int count = 0;
    for (unsigned tid = 0; tid < threads_in_block; tid++) count += fibers[tid].argument != 0;
    for (unsigned tid = 0; tid < threads_in_block; tid++) {
        Fiber *fiber = &fibers[tid];
        switch (fiber->op) {
        case BARRIER_COUNT: fiber->result = (uint64_t)count; break;
        case BARRIER_AND: fiber->result = count == (int)threads_in_block; break;
        default: fiber->result = count > 0;
        }
        fiber->state = READY;
    }
    segment++;
    running->barriers++;
}

static void report_standstill(void) {
    const Fiber *fiber = fibers;
    while (fiber->state != YIELDED) fiber++;
    fault_of(fiber, "deadlock", fiber->line ? 0 : fiber->value, fiber->line,
             "the threads of the block wait for each other in loops, and none gets on");
}

void run_block(uint3 index, uint64_t number) {
    uint8_t warp_order[MAX_WARPS], lane_order[WARP];
    unsigned idle = 0, arrived = 0;
    current_block = index;
    blockIdx.x = index.x;
    blockIdx.y = index.y;
    blockIdx.z = index.z;
    random_state = (job.seed ^ (number + 1) * 0x9E3779B97F4A7C15ull) | 1;
    block_first = ++segment;
    block_has_atomics = 0;
    shared_block();
    make_order(warp_order, warps_in_block);
    for (unsigned tid = 0; tid < threads_in_block; tid++) fiber_prepare(&fibers[tid]);
    for (;;) {
        unsigned states[EXITED + 1] = {0};
        for (unsigned i = 0; i < warps_in_block; i++) {
            make_order(lane_order, WARP);
            run_warp(warp_order[i], lane_order);
        }
        for (unsigned tid = 0; tid < threads_in_block; tid++) states[fibers[tid].state]++;
        if (states[EXITED] == threads_in_block) return;
        if (states[YIELDED] || states[AT_WARP]) {
            if (states[EXITED] + states[AT_BARRIER] != arrived) idle = 0;
            arrived = states[EXITED] + states[AT_BARRIER];
            if (++idle > MAX_IDLE_ROUNDS) report_standstill();
            continue;
        }
        idle = 0;
        check_barrier();
        release_barrier();
    }
}

/* Called by kernels; the kind says what they return. */
int cpusim_barrier(int kind, int predicate, int line) {
    if (mode != DEVICE) fault("bad_call", 0, line, "__syncthreads outside of a kernel");
    if (unlikely(pending_write)) access_settle();
    Fiber *fiber = current;
    fiber->op = (unsigned)kind;
    fiber->argument = predicate;
    fiber->line = line;
    fiber->spins = 0;
    fiber_leave(AT_BARRIER);
    return (int)fiber->result;
}

void cpusim_fence(void) { last_fence = segment; }
