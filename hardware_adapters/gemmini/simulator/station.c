#include "units.h"

// Reservation station: commands enter in program order, one a cycle; a unit takes its own in order, as soon as every
// earlier command of another unit that touches the same rows has completed.

static int overlaps(Range a, Range b) { return a.first < b.end && b.first < a.end; }

static int must_wait(const Op *later_op, const Op *earlier_op) {
    if (overlaps(later_op->writes, earlier_op->writes)) return 1;
    for (int i = 0; i < 2; i++)
        if (overlaps(later_op->writes, earlier_op->reads[i]) || overlaps(later_op->reads[i], earlier_op->writes)) return 1;
    return 0;
}

static uint32_t free_slots(const Station *s, unsigned unit) { return s->slots[unit] & ~s->live; }

static void accept(Timing *t) {
    Station *s = &t->station;
    if (!s->queue_count) return;
    const Waiting *w = &s->queue[s->queue_head];
    uint32_t vacant = w->ready <= t->now ? free_slots(s, w->op.unit) : 0;
    if (!vacant) return;
    int slot = __builtin_ctz(vacant);
    s->op[slot] = w->op;
    s->live |= 1u << slot;
    s->waits_for[slot] = 0;
    s->write_banks[slot] = banks_of(t, w->op.writes);
    uint32_t others = w->op.kind == KIND_CONFIG || w->op.kind == KIND_CONFIG_EX ? 0 : s->live & ~s->slots[w->op.unit];
    for (; others; others &= others - 1) { // inside a unit, order keeps the hazards
        int other = __builtin_ctz(others);
        if (must_wait(&w->op, &s->op[other])) s->waits_for[slot] |= 1u << other;
    }
    fifo_push(&s->unissued[w->op.unit], slot, t->now + 1);
    s->queue_head = (s->queue_head + 1) % MAX_WAITING;
    s->queue_count--;
}

static void release(Station *s, int slot) {
    s->live &= ~(1u << slot);
    for (int i = 0; i < MAX_STATION; i++) s->waits_for[i] &= ~(1u << slot);
}

static int unit_holds(const Config *c, int unit) {
    return (int)(unit == UNIT_LOAD ? c->load_queue : unit == UNIT_STORE ? c->store_queue : c->execute_queue);
}

static int can_issue(const Timing *t, int unit) {
    const Station *s = &t->station;
    int slot = fifo_at(&s->unissued[unit], 0, t->now);
    return slot >= 0 && !s->waits_for[slot] && s->issued[unit].count < unit_holds(t->config, unit);
}

static void complete(Timing *t) {
    static const int ORDER[UNITS + 1] = {DONE_RESULTS, UNIT_EXECUTE, UNIT_LOAD, UNIT_STORE};
    Station *s = &t->station;
    for (int i = 0; i <= UNITS; i++) {
        int slot = fifo_at(&s->done[ORDER[i]], 0, t->now);
        if (slot < 0) continue;
        fifo_pop(&s->done[ORDER[i]]);
        if (ORDER[i] == UNIT_LOAD)
            for (int k = 0; k < TRACKERS; k++)
                if (t->load.tracker[k].slot == slot) t->load.tracker[k].slot = -1, t->load.tracker_free = t->now + 1;
        release(s, slot);
        return;
    }
}

void station_step(Timing *t) {
    Station *s = &t->station;
    s->wake_known = 0;
    for (int unit = 0; unit < UNITS; unit++) {
        if (!can_issue(t, unit)) continue;
        int slot = fifo_at(&s->unissued[unit], 0, t->now);
        fifo_pop(&s->unissued[unit]);
        unsigned delay = unit == UNIT_EXECUTE ? t->config->execute_issue_cycles : 1;
        if (s->op[slot].kind == KIND_CONFIG) release(s, slot); // complete on issue, and the unit takes the values beside its work
        else fifo_push(&s->issued[unit], slot, t->now + delay);
    }
    accept(t);
    complete(t);
}

void station_done(Timing *t, int slot, int source, uint64_t at) {
    fifo_push(&t->station.done[source], slot, at);
    unit_took(t);
}

void unit_took(Timing *t) {
    t->changed = 1;
    t->station.wake_known = 0;
}

int station_full(const Timing *t) { return t->station.queue_count >= (int)t->config->command_queue; }

void station_push(Timing *t, const Op *op, unsigned delay) {
    Station *s = &t->station;
    s->queue[(s->queue_head + s->queue_count++) % MAX_WAITING] = (Waiting){*op, t->now + delay};
    s->wake_known = 0;
}

int station_empty(const Timing *t) {
    const Station *s = &t->station;
    return !s->queue_count && !s->live && !s->issued[UNIT_LOAD].count && !s->issued[UNIT_STORE].count;
}

unsigned station_load(const Timing *t, int unit) {
    const Station *s = &t->station;
    unsigned waiting = 0;
    for (int i = 0; i < s->queue_count; i++) waiting += s->queue[(s->queue_head + i) % MAX_WAITING].op.unit == unit;
    return waiting + (unsigned)__builtin_popcount(s->live & s->slots[unit]);
}

unsigned station_entries(const Timing *t, int unit) { return (unsigned)__builtin_popcount(t->station.slots[unit]); }

static uint64_t next_event(const Timing *t) {
    const Station *s = &t->station;
    uint64_t wake = NEVER;
    if (s->queue_count) {
        const Waiting *w = &s->queue[s->queue_head];
        if (w->ready > t->now) wake = w->ready;
        else if (free_slots(s, w->op.unit)) return t->now;
    }
    for (int unit = 0; unit < UNITS; unit++) {
        const Fifo *f = &s->unissued[unit];
        if (f->count && !s->waits_for[f->slot[f->head]] && s->issued[unit].count < unit_holds(t->config, unit)) wake = earlier(wake, fifo_wake(f));
    }
    for (int i = 0; i <= UNITS; i++) wake = earlier(wake, fifo_wake(&s->done[i]));
    return wake;
}

uint64_t station_wake(Timing *t) {
    Station *s = &t->station;
    if (!s->wake_known) s->wake = next_event(t);
    s->wake_known = 1;
    return s->wake;
}
