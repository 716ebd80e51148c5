/* Warp-wide operations: a lane says what it wants and waits; when the others have come, all are answered at once. */
#include "cpusim.h"

enum { SYNC, SHFL_IDX, SHFL_UP, SHFL_DOWN, SHFL_XOR, BALLOT, ANY, ALL, MATCH_ANY, MATCH_ALL, ACTIVE,
       ADD, MIN_S, MAX_S, MIN_U, MAX_U, AND, OR, XOR };

static const char *name_of(unsigned op) {
    static const char *const names[] = {
        "__syncwarp", "__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync", "__ballot_sync", "__any_sync",
        "__all_sync", "__match_any_sync", "__match_all_sync", "__activemask", "__reduce_add_sync", "__reduce_min_sync",
        "__reduce_max_sync", "__reduce_min_sync", "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync",
        "__reduce_xor_sync"};
    return names[op];
}

/* The value that a lane's shuffle brings. Sources beyond the segment of `width` lanes give the lane's own value. */
static void shuffle(Fiber *fiber, Fiber *lanes, unsigned count, unsigned present) {
    unsigned lane = fiber->lane, width = (unsigned)fiber->width, first = lane & ~(width - 1), source = lane;
    unsigned by = (unsigned)fiber->argument;
    switch (fiber->op) {
    case SHFL_IDX: source = first + (by & (width - 1)); break;
    case SHFL_UP: source = by <= lane - first ? lane - by : lane; break;
    case SHFL_DOWN: source = by < width && lane + by < first + width ? lane + by : lane; break;
    case SHFL_XOR: source = (lane ^ by) < first + width ? lane ^ by : lane; break;
    }
    if (source >= count) { /* no such thread in a block whose size is no multiple of 32: hardware gives anything */
        fiber->result = ~0ull;
        return;
    }
    if (!(present >> source & 1))
        fault_of(fiber, "missing_lanes", 0, fiber->line, "%s takes the value of lane %u, which does not take part%s",
                 name_of(fiber->op), source, lanes[source].state == EXITED ? ": that thread has ended" : "");
    fiber->result = lanes[source].value;
}

static uint64_t reduce(unsigned op, Fiber *lanes, unsigned mask) {
    unsigned first = (unsigned)__builtin_ctz(mask);
    uint32_t total = (uint32_t)lanes[first].value;
    for (unsigned lane = first + 1; lane < WARP; lane++) {
        if (!(mask >> lane & 1)) continue;
        uint32_t value = (uint32_t)lanes[lane].value;
        switch (op) {
        case ADD: total += value; break;
        case MIN_S: total = (int32_t)value < (int32_t)total ? value : total; break;
        case MAX_S: total = (int32_t)value > (int32_t)total ? value : total; break;
        case MIN_U: total = value < total ? value : total; break;
        case MAX_U: total = value > total ? value : total; break;
        case AND: total &= value; break;
        case OR: total |= value; break;
        case XOR: total ^= value; break;
        }
    }
    return total;
}

static void answer(Fiber *lanes, unsigned count, unsigned mask) {
    unsigned trues = 0;
    for (unsigned lane = 0; lane < count; lane++)
        if (mask >> lane & 1) trues |= (unsigned)(lanes[lane].value != 0) << lane;
    for (unsigned lane = 0; lane < count; lane++) {
        Fiber *fiber = &lanes[lane];
        if (!(mask >> lane & 1)) continue;
        unsigned equal = 0;
        switch (fiber->op) {
        case SYNC: break;
        case SHFL_IDX: case SHFL_UP: case SHFL_DOWN: case SHFL_XOR: shuffle(fiber, lanes, count, mask); break;
        case BALLOT: fiber->result = trues; break;
        case ANY: fiber->result = trues != 0; break;
        case ALL: fiber->result = trues == mask; break;
        case MATCH_ANY: case MATCH_ALL:
            for (unsigned other = 0; other < count; other++)
                if (mask >> other & 1) equal |= (unsigned)(lanes[other].value == fiber->value) << other;
            fiber->result = fiber->op == MATCH_ANY || equal == mask ? equal : 0;
            break;
        case ACTIVE: fiber->result = mask; break;
        default: fiber->result = reduce(fiber->op, lanes, mask);
        }
    }
    for (unsigned lane = 0; lane < count; lane++)
        if (mask >> lane & 1) lanes[lane].state = READY;
}

/* Lanes of `fiber`'s mask that wait at the same operation; the rest is in *missing, unless it has ended. */
static unsigned together(const Fiber *fiber, const Fiber *lanes, unsigned count, unsigned *missing) {
    unsigned present = 0;
    *missing = 0;
    for (unsigned lane = 0; lane < count; lane++) {
        const Fiber *other = &lanes[lane];
        if (!(fiber->mask >> lane & 1) || other->state == EXITED) continue;
        if (other->state == AT_WARP && other->op == fiber->op && other->line == fiber->line && other->mask == fiber->mask)
            present |= 1u << lane;
        else
            *missing |= 1u << lane;
    }
    return present;
}

unsigned warp_resolve(Fiber *lanes, unsigned count, int last_resort) {
    unsigned done = 0, missing = 0;
    for (unsigned lane = 0; lane < count; lane++) {
        if (lanes[lane].state != AT_WARP || lanes[lane].op == ACTIVE) continue;
        unsigned present = together(&lanes[lane], lanes, count, &missing);
        if (missing) continue;
        answer(lanes, count, present);
        done += (unsigned)__builtin_popcount(present);
    }
    if (!done && last_resort) /* who asks which lanes are active is answered when nobody else can come any more */
        for (unsigned lane = 0; lane < count && !done; lane++) {
            if (lanes[lane].state != AT_WARP || lanes[lane].op != ACTIVE) continue;
            unsigned present = 0;
            for (unsigned other = lane; other < count; other++)
                if (lanes[other].state == AT_WARP && lanes[other].op == ACTIVE && lanes[other].line == lanes[lane].line)
                    present |= 1u << other;
            answer(lanes, count, present);
            return (unsigned)__builtin_popcount(present);
        }
    if (done) {
        warp_epoch[lanes[0].warp]++;
        return done;
    }
    if (!last_resort) return 0;
    for (unsigned lane = 0; lane < count; lane++) {
        const Fiber *fiber = &lanes[lane];
        if (fiber->state != AT_WARP) continue;
        together(fiber, lanes, count, &missing);
        const Fiber *absent = &lanes[__builtin_ctz(missing)];
        fault_of(fiber, "missing_lanes", 0, fiber->line,
                 "%s names the lanes %#x, but %d of them do not come: thread (%u,%u,%u), lane %u, waits in line %d",
                 name_of(fiber->op), fiber->mask, __builtin_popcount(missing), absent->index.x, absent->index.y,
                 absent->index.z, absent->lane, absent->line);
    }
    return 0;
}

uint64_t cpusim_warp(int op, unsigned mask, uint64_t value, int argument, int width, int line) {
    if (mode != DEVICE) fault("bad_call", 0, line, "%s outside of a kernel", name_of((unsigned)op));
    if (unlikely(pending_write)) access_settle();
    Fiber *fiber = current;
    if (op != ACTIVE && !(mask >> fiber->lane & 1))
        fault("missing_lanes", 0, line, "%s is called by lane %u with the mask %#x, which leaves that lane out",
              name_of((unsigned)op), fiber->lane, mask);
    if (op >= SHFL_IDX && op <= SHFL_XOR && (width < 1 || width > WARP || (width & (width - 1))))
        fault("bad_call", 0, line, "%s: width %d is no power of two up to 32", name_of((unsigned)op), width);
    fiber->op = (unsigned)op;
    fiber->mask = mask;
    fiber->value = value;
    fiber->argument = argument;
    fiber->width = width;
    fiber->line = line;
    fiber->spins = 0;
    fiber_leave(AT_WARP);
    return fiber->result;
}
