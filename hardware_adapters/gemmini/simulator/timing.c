#include "timing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// One step is one cycle. The order inside a step: completions, one command into the station, one command from the
// station to each unit, then the units. Load and store take the bank ports they need; the array gets what is left.

enum { MAX_STATION = 32, MAX_QUEUE = 16, RING = 1024, MAX_EXECUTE = 16, EIGHTHS = 8 };

// What the array did in a cycle. Exclusive; they sum to the cycles of a call.
enum Cause { ARRAY_BUSY, WAIT_LOAD, WAIT_STORE, WAIT_ISSUE, CONFLICT_SPAD, CONFLICT_ACC, DEPENDENCY, CONFIG_EX, FENCE, CAUSES };
static const char *const CAUSE_NAMES[CAUSES] = {
    "array_busy_cycles", "stall_wait_load", "stall_wait_store", "stall_wait_issue", "stall_bank_conflict_spad",
    "stall_bank_conflict_acc", "stall_dependency", "stall_config_ex", "stall_fence"};

typedef struct Entry { // of the reservation station
    Op op;
    uint64_t done_at; // when known, else UINT64_MAX
} Entry;

typedef struct Waiting { // between Rocket and the station
    Op op;
    uint64_t ready;
} Waiting;

typedef struct Fifo { // of station entries, in order
    int slot[MAX_STATION], head, count;
} Fifo;

typedef struct Ring { // of times in rising order
    uint64_t at[RING];
    uint8_t bank[RING];
    unsigned head, count;
} Ring;

typedef struct Slice { // of the timeline
    uint64_t start, end, pc;
    uint8_t unit, kind;
} Slice;

enum { MAX_SLICES = 200000 };

struct Timing {
    const Config *config;
    L2 *l2;
    unsigned spad_bank_shift, acc_bank_shift; // banks hold a power of two of rows
    uint64_t now;
    int fencing;

    Waiting queue[MAX_QUEUE];
    int queue_head, queue_count;
    Entry station[MAX_STATION];
    uint32_t live, slots[UNITS];     // a bit for each entry in use; the entries that belong to a unit
    uint32_t waits_for[MAX_STATION]; // entries that have to finish before this one is issued
    uint64_t next_done;              // no entry is done before this cycle
    Fifo unissued[UNITS], unit_queue[UNITS];

    // Load: requests go out one a cycle; their beats return in order.
    int load_row;
    unsigned load_offset;
    uint64_t load_next, load_began, load_last_beat;
    Ring in_flight, bank_writes; // completion times of requests; (time, bank) of rows written
    uint64_t beat_free;          // cycle from which the data bus is free

    // Store.
    int store_row;
    unsigned store_piece;
    uint64_t store_next_eighths, store_last, store_began;
    Ring store_in_flight;

    // Execute: the commands it holds are unit_queue[UNIT_EXECUTE].
    int phase_active, phase_compute, phase_preload; // slots, or -1
    unsigned phase_feed_left, phase_weights_left;
    int feed_bank, weight_bank, c_bank; // of this phase, or -1
    uint64_t phase_began, execute_ready, array_drained; // array_drained: last C row written
    int weights_slot; // preload whose compute is next

    uint64_t causes[CAUSES], start, busy[UNITS], array_cycles, queue_full, fences, bytes_in, bytes_out;

    int recording;
    unsigned slices, slices_lost;
    Slice *slice;
};

Timing *timing_new(const Config *c, L2 *l2) {
    Timing *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->config = c;
    t->l2 = l2;
    t->spad_bank_shift = (unsigned)__builtin_ctz(c->spad_rows / c->spad_banks);
    t->acc_bank_shift = (unsigned)__builtin_ctz(c->acc_rows / c->acc_banks);
    t->slots[UNIT_LOAD] = (1u << c->load_entries) - 1;
    t->slots[UNIT_STORE] = ((1u << c->store_entries) - 1) << c->load_entries;
    t->slots[UNIT_EXECUTE] = ((1u << c->execute_entries) - 1) << (c->load_entries + c->store_entries);
    return t;
}

void timing_reset(Timing *t) {
    Timing fresh = {.config = t->config, .l2 = t->l2, .slice = t->slice, .recording = t->recording, .weights_slot = -1, .next_done = UINT64_MAX,
                    .spad_bank_shift = t->spad_bank_shift, .acc_bank_shift = t->acc_bank_shift};
    memcpy(fresh.slots, t->slots, sizeof fresh.slots);
    *t = fresh;
}

// --- small queues

static void fifo_push(Fifo *f, int slot) { f->slot[(f->head + f->count++) % MAX_STATION] = slot; }
static int fifo_at(const Fifo *f, int i) { return i < f->count ? f->slot[(f->head + i) % MAX_STATION] : -1; }
static void fifo_pop(Fifo *f) { f->head = (f->head + 1) % MAX_STATION, f->count--; }

static void ring_push(Ring *r, uint64_t at, int bank) {
    unsigned i = (r->head + r->count++) % RING;
    r->at[i] = at;
    r->bank[i] = (uint8_t)bank;
}
static void ring_drop_until(Ring *r, uint64_t now) {
    while (r->count && r->at[r->head] <= now) r->head = (r->head + 1) % RING, r->count--;
}

static void record(Timing *t, int slot, uint64_t start, uint64_t end) {
    const Op *op = &t->station[slot].op;
    if (end > start) t->busy[op->unit] += end - start;
    if (!t->recording) return;
    if (t->slices == MAX_SLICES) t->slices_lost++;
    else t->slice[t->slices++] = (Slice){start, end, op->pc, op->unit, op->kind};
}

// --- reservation station

static int overlaps(Range a, Range b) { return a.first < b.end && b.first < a.end; }

static int must_wait(const Op *later, const Op *earlier) {
    if (overlaps(later->writes, earlier->writes)) return 1;
    for (int i = 0; i < 3; i++)
        if (overlaps(later->writes, earlier->reads[i]) || overlaps(later->reads[i], earlier->writes)) return 1;
    return 0;
}

static uint32_t free_slots(const Timing *t, unsigned unit) { return t->slots[unit] & ~t->live; }

static void enter_station(Timing *t) {
    if (!t->queue_count) return;
    Waiting *w = &t->queue[t->queue_head];
    uint32_t vacant = w->ready <= t->now ? free_slots(t, w->op.unit) : 0;
    if (!vacant) return;
    int slot = __builtin_ctz(vacant);
    Entry *e = &t->station[slot];
    *e = (Entry){.op = w->op, .done_at = UINT64_MAX};
    t->live |= 1u << slot;
    t->waits_for[slot] = 0;
    for (uint32_t others = t->live & ~t->slots[e->op.unit]; others; others &= others - 1) { // inside a unit, order keeps the hazards
        int other = __builtin_ctz(others);
        if (must_wait(&e->op, &t->station[other].op)) t->waits_for[slot] |= 1u << other;
    }
    fifo_push(&t->unissued[e->op.unit], slot);
    t->queue_head = (t->queue_head + 1) % MAX_QUEUE;
    t->queue_count--;
}

static void done_at(Timing *t, int slot, uint64_t cycle) {
    t->station[slot].done_at = cycle;
    if (cycle < t->next_done) t->next_done = cycle;
}

static void finish(Timing *t, int slot) {
    t->live &= ~(1u << slot);
    for (int s = 0; s < MAX_STATION; s++) t->waits_for[s] &= ~(1u << slot);
}

static void complete(Timing *t) {
    if (t->next_done > t->now) return;
    t->next_done = UINT64_MAX;
    for (uint32_t live = t->live; live; live &= live - 1) {
        int slot = __builtin_ctz(live);
        if (t->station[slot].done_at <= t->now) finish(t, slot);
        else if (t->station[slot].done_at < t->next_done) t->next_done = t->station[slot].done_at;
    }
}

static int unit_limit(const Timing *t, int unit) {
    return unit == UNIT_LOAD ? (int)t->config->load_entries : unit == UNIT_STORE ? 2 : (int)t->config->execute_queue + 2;
}

static void issue(Timing *t) {
    for (int unit = 0; unit < UNITS; unit++) {
        int slot = fifo_at(&t->unissued[unit], 0);
        if (slot < 0 || t->waits_for[slot] || t->unit_queue[unit].count >= unit_limit(t, unit)) continue;
        fifo_pop(&t->unissued[unit]);
        fifo_push(&t->unit_queue[unit], slot);
        uint64_t arrives = t->now + t->config->issue_cycles;
        if (unit == UNIT_LOAD && t->unit_queue[unit].count == 1 && t->load_next < arrives + t->config->load_start_cycles)
            t->load_next = arrives + t->config->load_start_cycles;
        if (unit == UNIT_STORE && t->unit_queue[unit].count == 1 && t->store_next_eighths < (arrives + t->config->store_start_cycles) * EIGHTHS)
            t->store_next_eighths = (arrives + t->config->store_start_cycles) * EIGHTHS;
        if (unit == UNIT_EXECUTE && t->unit_queue[unit].count == 1 && !t->phase_active) t->execute_ready = arrives + t->config->issue_cycles;
    }
}

// --- banks: scratchpad banks are numbered from 0, accumulator banks follow

static int bank_of(const Timing *t, uint32_t row) {
    if (row >= ACC_BASE) return (int)(t->config->spad_banks + ((row - ACC_BASE) >> t->acc_bank_shift));
    return (int)(row >> t->spad_bank_shift);
}

// --- load unit

static void load_finished(Timing *t, int slot, uint64_t done) {
    done_at(t, slot, done);
    record(t, slot, t->load_began, done);
    fifo_pop(&t->unit_queue[UNIT_LOAD]);
    t->load_row = 0;
    t->load_offset = 0;
}

// Rows written without a read: zeros, or copies of one row.
static void write_rows(Timing *t, const Op *op, unsigned first_row) {
    for (unsigned r = first_row; r < op->rows; r++)
        for (unsigned b = 0; b < op->blocks; b++) {
            t->beat_free = (t->beat_free > t->now ? t->beat_free : t->now) + t->config->zero_fill_row_cycles;
            ring_push(&t->bank_writes, t->beat_free, bank_of(t, op->writes.first + b * op->block_stride + r));
        }
}

// The reader's choice: of the aligned power-of-two sizes, the smallest that brings the most bytes of this row.
static unsigned request_size(const Config *c, uint64_t addr, unsigned left, unsigned *useful) {
    unsigned size = c->beat_bytes;
    *useful = 0;
    for (unsigned s = c->beat_bytes; s <= c->max_request_bytes; s *= 2) {
        unsigned bytes = s - (unsigned)(addr & (s - 1));
        if (bytes > left) bytes = left;
        if (bytes > *useful) *useful = bytes, size = s;
    }
    return size;
}

static void send_request(Timing *t, const Op *op) {
    const Config *c = t->config;
    uint64_t addr = op->dram + (uint64_t)t->load_row * op->dram_stride + t->load_offset;
    unsigned useful, size = request_size(c, addr, op->row_bytes - t->load_offset, &useful), beats = size / c->beat_bytes;
    uint64_t ready = l2_access(t->l2, t->now, addr & ~(uint64_t)(size - 1), size, 0);
    if (beats > 1 && (addr & (size - 1)) == 0 && useful <= size - c->beat_bytes) beats++; // measured: 48 columns cost 5 beats a row
    if (ready < t->beat_free) ready = t->beat_free;
    t->beat_free = ready + beats;
    unsigned row_bytes = op->writes.first >= ACC_BASE && op->full_width ? 4 * c->dim : c->dim;
    unsigned last_block = (t->load_offset + useful - 1) / row_bytes;
    for (unsigned b = t->load_offset / row_bytes; b <= last_block; b++)
        ring_push(&t->bank_writes, t->beat_free - (last_block - b), bank_of(t, op->writes.first + b * op->block_stride + (unsigned)t->load_row));
    ring_push(&t->in_flight, t->beat_free, 0);
    t->load_last_beat = t->beat_free;
    t->bytes_in += size;
    t->load_offset += useful;
    if (t->load_offset < op->row_bytes) return;
    t->load_offset = 0;
    t->load_row++;
    if (op->repeated) {
        write_rows(t, op, 1);
        t->load_row = op->rows;
        t->load_last_beat = t->beat_free;
    }
}

static void step_load(Timing *t) {
    const Config *c = t->config;
    ring_drop_until(&t->in_flight, t->now);
    int slot = fifo_at(&t->unit_queue[UNIT_LOAD], 0);
    if (slot < 0) return;
    const Op *op = &t->station[slot].op;
    if (op->kind == KIND_CONFIG) {
        fifo_pop(&t->unit_queue[UNIT_LOAD]);
        done_at(t, slot, t->now);
        return;
    }
    if (t->load_next > t->now) return;
    if (t->load_row == 0 && t->load_offset == 0) t->load_began = t->now;
    if (op->zero_fill) {
        if (t->bank_writes.count > RING / 2) return;
        write_rows(t, op, 0);
        t->load_next = t->beat_free;
        load_finished(t, slot, t->beat_free + c->load_end_cycles);
        return;
    }
    if (t->in_flight.count >= c->requests_in_flight || t->bank_writes.count > RING / 2) return;
    send_request(t, op);
    if (t->load_row < op->rows) return;
    uint64_t least = t->load_began + 8 + op->rows / 2u; // measured: rows mvin_hot_16x1, 16x4, 16x8
    t->load_next = least > t->now + 1 ? least : t->now + 1;
    load_finished(t, slot, t->load_last_beat + c->load_end_cycles);
}

// --- store unit

// Cost of writing one row's 16-byte piece, in eighths of a cycle (measured: mvout_16x16_s64, 10x16, 16x16_s130, 64x16).
static unsigned piece_eighths(const Op *op, const Config *c) {
    if (op->row_bytes % c->beat_bytes) return 17;
    if ((op->dram | op->dram_stride) % c->beat_bytes) return 24;
    return op->row_bytes > c->beat_bytes ? 14 : 13;
}

static int step_store(Timing *t) { // the accumulator or scratchpad bank it reads in this cycle, or -1
    const Config *c = t->config;
    ring_drop_until(&t->store_in_flight, t->now);
    int slot = fifo_at(&t->unit_queue[UNIT_STORE], 0);
    if (slot < 0) return -1;
    const Op *op = &t->station[slot].op;
    if (op->kind == KIND_CONFIG) {
        fifo_pop(&t->unit_queue[UNIT_STORE]);
        done_at(t, slot, t->now);
        return -1;
    }
    if (t->store_next_eighths > t->now * EIGHTHS || t->store_in_flight.count >= c->requests_in_flight) return -1;
    if (t->store_row == 0 && t->store_piece == 0) t->store_began = t->now;
    if (t->store_next_eighths + EIGHTHS <= t->now * EIGHTHS) t->store_next_eighths = t->now * EIGHTHS;
    unsigned pieces = (op->row_bytes + c->beat_bytes - 1) / c->beat_bytes;
    uint64_t done = t->now + c->l2_hit_cycles;
    if (t->store_piece == 0) {
        done = l2_access(t->l2, t->now, op->dram + (uint64_t)t->store_row * op->dram_stride, op->row_bytes, 1);
        t->bytes_out += op->row_bytes;
    }
    if (done < t->store_last) done = t->store_last;
    t->store_last = done;
    ring_push(&t->store_in_flight, done, 0);
    t->beat_free = (t->beat_free > t->now ? t->beat_free : t->now) + 1; // shares the port with the reader
    t->store_next_eighths += piece_eighths(op, c);
    uint32_t block = op->full_width ? t->store_piece / 4 : t->store_piece;
    int bank = bank_of(t, op->reads[0].first + block * op->block_stride + (unsigned)t->store_row);
    if (++t->store_piece == pieces) t->store_piece = 0, t->store_row++;
    if (t->store_row == op->rows) {
        done_at(t, slot, t->store_last + c->store_ack_cycles);
        record(t, slot, t->store_began, t->store_last + c->store_ack_cycles);
        t->store_row = 0;
        fifo_pop(&t->unit_queue[UNIT_STORE]);
    }
    return bank;
}

// --- execute unit

// The array feeds the rows of one compute while the weights of the next preload move in: a phase. Same bank: in turn.
static void begin_phase(Timing *t) {
    const Config *c = t->config;
    Fifo *q = &t->unit_queue[UNIT_EXECUTE];
    int first = fifo_at(q, 0), second = fifo_at(q, 1);
    if (first < 0 || t->now < t->execute_ready) return;
    const Op *op = &t->station[first].op;
    if (op->kind == KIND_CONFIG_EX) {
        if (t->now < t->array_drained + c->config_ex_drain_cycles) return;
        done_at(t, first, t->now + 1);
        fifo_pop(q);
        return;
    }
    t->phase_compute = t->phase_preload = -1;
    t->phase_feed_left = t->phase_weights_left = 0;
    if (op->kind == KIND_COMPUTE) {
        t->phase_compute = first;
        t->phase_feed_left = op->rows < 7 ? 7 : op->rows; // measured: pg_1row
        if (second >= 0 && t->station[second].op.kind == KIND_PRELOAD) t->phase_preload = second;
    } else t->phase_preload = first;
    if (t->phase_preload >= 0 && t->station[t->phase_preload].op.b_row != NO_ROW) t->phase_weights_left = c->weight_cycles;
    if (t->phase_compute >= 0) fifo_pop(q);
    if (t->phase_preload >= 0) fifo_pop(q);
    t->feed_bank = t->weight_bank = t->c_bank = -1;
    if (t->phase_compute >= 0) {
        if (op->a_row != NO_ROW) t->feed_bank = bank_of(t, op->a_row);
        if (t->weights_slot >= 0 && t->station[t->weights_slot].op.writes.end) t->c_bank = bank_of(t, t->station[t->weights_slot].op.writes.first);
    }
    if (t->phase_weights_left) t->weight_bank = bank_of(t, t->station[t->phase_preload].op.b_row);
    t->phase_active = 1;
    t->phase_began = t->now;
}

static void end_phase(Timing *t) {
    const Config *c = t->config;
    t->phase_active = 0;
    if (t->phase_compute >= 0) {
        done_at(t, t->phase_compute, t->now);
        record(t, t->phase_compute, t->phase_began, t->now);
        if (t->weights_slot >= 0) {
            t->array_drained = t->now + c->write_latency_cycles;
            done_at(t, t->weights_slot, t->array_drained);
        }
        t->weights_slot = -1;
    }
    if (t->phase_preload >= 0) t->weights_slot = t->phase_preload;
}

static int execute_cause(Timing *t, uint32_t banks_taken) {
    int conflict = 0, fed = 0;
    if (t->phase_feed_left) {
        if (t->c_bank >= 0 && banks_taken >> t->c_bank & 1) conflict = CONFLICT_ACC;
        else if (t->feed_bank >= 0 && banks_taken >> t->feed_bank & 1) conflict = CONFLICT_SPAD;
        else {
            t->phase_feed_left--;
            fed = 1;
            if (t->feed_bank >= 0) banks_taken |= 1u << t->feed_bank;
        }
    }
    if (t->phase_weights_left) {
        if (banks_taken >> t->weight_bank & 1) conflict = conflict ? conflict : CONFLICT_SPAD;
        else t->phase_weights_left--;
    }
    int cause = fed ? ARRAY_BUSY : conflict ? conflict : DEPENDENCY;
    if (!t->phase_feed_left && !t->phase_weights_left) {
        t->now++;
        end_phase(t);
        t->now--;
    }
    return cause;
}

static int idle_cause(const Timing *t) {
    int head = fifo_at(&t->unit_queue[UNIT_EXECUTE], 0);
    if (head >= 0) return t->station[head].op.kind == KIND_CONFIG_EX ? CONFIG_EX : DEPENDENCY;
    int waiting = fifo_at(&t->unissued[UNIT_EXECUTE], 0);
    if (waiting >= 0) {
        uint32_t mask = t->waits_for[waiting];
        if (mask & t->slots[UNIT_LOAD]) return WAIT_LOAD;
        return mask ? WAIT_STORE : DEPENDENCY;
    }
    // No execute command in the station: it is behind another unit's full queue, behind a fence, or not issued yet.
    if (t->queue_count && t->queue[t->queue_head].ready <= t->now) {
        if (t->queue[t->queue_head].op.unit == UNIT_LOAD) return WAIT_LOAD;
        if (t->queue[t->queue_head].op.unit == UNIT_STORE) return WAIT_STORE;
    }
    return t->fencing ? FENCE : WAIT_ISSUE;
}

static int step_execute(Timing *t, uint32_t banks_taken) {
    if (!t->phase_active) begin_phase(t);
    return t->phase_active ? execute_cause(t, banks_taken) : idle_cause(t);
}

// --- time

static int idle(const Timing *t) { return !t->queue_count && !t->live; }

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

// First cycle from now on in which anything but the array's steady work can change: waiting and undisturbed feeding are
// most of what happens, and this makes them cheap.
// *load: the same for the load unit alone, which is left out of the answer when `load` is given.
static uint64_t next_change(const Timing *t, uint64_t *load_at) {
    const Config *c = t->config;
    uint64_t next = t->next_done;
    *load_at = UINT64_MAX;
    if (t->queue_count) {
        const Waiting *w = &t->queue[t->queue_head];
        if (w->ready > t->now) next = earlier(next, w->ready);
        else if (free_slots(t, w->op.unit)) return t->now;
    }
    for (int unit = 0; unit < UNITS; unit++) {
        int slot = fifo_at(&t->unissued[unit], 0);
        if (slot >= 0 && !t->waits_for[slot] && t->unit_queue[unit].count < unit_limit(t, unit)) return t->now;
    }
    int load = fifo_at(&t->unit_queue[UNIT_LOAD], 0), store = fifo_at(&t->unit_queue[UNIT_STORE], 0), execute = fifo_at(&t->unit_queue[UNIT_EXECUTE], 0);
    if (load >= 0) {
        uint64_t at = t->station[load].op.kind == KIND_CONFIG ? t->now : t->load_next;
        if (t->in_flight.count >= c->requests_in_flight && t->in_flight.at[t->in_flight.head] > at) at = t->in_flight.at[t->in_flight.head];
        *load_at = at > t->now ? at : t->now;
    }
    if (store >= 0) {
        uint64_t at = t->station[store].op.kind == KIND_CONFIG ? t->now : (t->store_next_eighths + EIGHTHS - 1) / EIGHTHS;
        const Ring *r = &t->store_in_flight;
        if (r->count >= c->requests_in_flight && r->at[r->head] > at) at = r->at[r->head];
        next = earlier(next, at);
    }
    if (t->phase_active) { // it only goes on feeding until a bank is taken
        if (t->bank_writes.count) next = earlier(next, t->bank_writes.at[t->bank_writes.head]);
    } else if (execute >= 0)
        next = earlier(next, t->station[execute].op.kind == KIND_CONFIG_EX ? t->array_drained + c->config_ex_drain_cycles : t->execute_ready);
    return next > t->now ? next : t->now;
}

static void step(Timing *t) {
    complete(t);
    enter_station(t);
    issue(t);
    step_load(t);
    uint32_t taken = 0;
    int read = step_store(t);
    if (read >= 0) taken |= 1u << read;
    while (t->bank_writes.count && t->bank_writes.at[t->bank_writes.head] <= t->now) {
        taken |= 1u << t->bank_writes.bank[t->bank_writes.head];
        t->bank_writes.head = (t->bank_writes.head + 1) % RING;
        t->bank_writes.count--;
    }
    t->causes[step_execute(t, taken)]++;
    t->now++;
}

// The load unit alone, request after request, as long as nothing else can change: row after row costs one test instead
// of a full step.
static void load_until(Timing *t, uint64_t at, uint64_t limit) {
    int slot = fifo_at(&t->unit_queue[UNIT_LOAD], 0), cause = idle_cause(t);
    const Config *c = t->config;
    uint64_t began = t->now;
    while (at < limit) {
        t->now = at;
        step_load(t);
        if (fifo_at(&t->unit_queue[UNIT_LOAD], 0) != slot || t->bank_writes.count > RING / 4) {
            at = t->now + 1;
            break;
        }
        at = t->load_next > t->now + 1 ? t->load_next : t->now + 1;
        if (t->in_flight.count >= c->requests_in_flight && t->in_flight.at[t->in_flight.head] > at) at = t->in_flight.at[t->in_flight.head];
    }
    t->now = earlier(at, limit);
    while (t->bank_writes.count && t->bank_writes.at[t->bank_writes.head] < t->now) {
        t->bank_writes.head = (t->bank_writes.head + 1) % RING;
        t->bank_writes.count--;
    }
    t->causes[cause] += t->now - began;
}

// At least one cycle, and at most up to `limit`.
static void step_until(Timing *t, uint64_t limit) {
    uint64_t load_at, others = earlier(next_change(t, &load_at), limit), next = earlier(load_at, others);
    if (!t->phase_active && load_at < others) {
        load_until(t, load_at, others);
    } else if (next <= t->now || (next == UINT64_MAX && !t->phase_active)) {
        step(t);
    } else if (t->phase_active) {
        while (t->phase_active && t->now < next) {
            t->causes[execute_cause(t, 0)]++;
            t->now++;
        }
    } else {
        t->causes[idle_cause(t)] += next - t->now;
        t->now = next;
    }
}

static void advance(Timing *t, uint64_t cycle) {
    while (t->now < cycle) {
        if (idle(t)) {
            t->causes[t->fencing ? FENCE : WAIT_ISSUE] += cycle - t->now;
            t->now = cycle;
        } else step_until(t, cycle);
    }
}

uint64_t timing_command(Timing *t, uint64_t cycle, const Op *op) {
    advance(t, cycle);
    while (t->queue_count >= (int)t->config->command_queue) {
        uint64_t before = t->now;
        step_until(t, UINT64_MAX);
        t->queue_full += t->now - before;
    }
    t->queue[(t->queue_head + t->queue_count++) % MAX_QUEUE] = (Waiting){*op, t->now + t->config->enter_cycles};
    t->array_cycles += op->kind == KIND_COMPUTE ? op->rows : 0;
    return t->now + 1;
}

uint64_t timing_fence(Timing *t, uint64_t cycle) {
    advance(t, cycle);
    t->fencing = 1;
    t->fences++;
    int waited = !idle(t);
    while (!idle(t)) step_until(t, UINT64_MAX);
    t->fencing = 0;
    return t->now + (waited ? 3 : 1); // measured: fence +3 after the last load, 0 to 2 when idle
}

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
