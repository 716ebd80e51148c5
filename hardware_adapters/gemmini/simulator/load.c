#include "units.h"

#include <string.h>

// Load unit: the controller splits a command into rows, the reader a row into aligned requests of 16, 32 or 64 bytes, one a
// cycle. Answers are merged into rows and written into the banks. Two commands at most are under way (the RTL's command
// tracker has max_in_flight_mem_reqs / DIM + 1 entries), which is what short loads are limited by.

void load_reset(LoadUnit *u) {
    memset(u, 0, sizeof *u);
    u->active = -1;
    for (int i = 0; i < TRACKERS; i++) u->tracker[i].slot = -1;
}

static void push_write(LoadUnit *u, uint64_t at, int bank, int tracker, int accumulate) {
    unsigned i = u->writes_count++;
    for (; i && u->writes[(u->writes_head + i - 1) % ROWS_RING].at > at; i--) // answers may overtake each other
        u->writes[(u->writes_head + i) % ROWS_RING] = u->writes[(u->writes_head + i - 1) % ROWS_RING];
    u->writes[(u->writes_head + i) % ROWS_RING] = (Write){at, (uint8_t)bank, (uint8_t)tracker, (uint8_t)accumulate};
    u->tracker[tracker].rows_left++;
    u->tracker[tracker].last_row = later(u->tracker[tracker].last_row, at);
}

// The reader's choice: of the aligned power-of-two sizes, the smallest that brings the most bytes of this row.
static unsigned request_size(const Config *c, uint64_t addr, unsigned left, unsigned *useful) {
    unsigned size = c->beat_bytes;
    *useful = left;
    if (left <= size && !(addr & (size - 1))) return size;
    *useful = 0;
    for (unsigned s = c->beat_bytes; s <= c->max_request_bytes; s *= 2) {
        unsigned bytes = s - (unsigned)(addr & (s - 1));
        if (bytes > left) bytes = left;
        if (bytes > *useful) *useful = bytes, size = s;
    }
    return size;
}

// The merger takes a beat a cycle and hands on a row a cycle, each one cycle after its last byte came. It is free for the next
// answer as soon as the last row leaves, but a cycle later than the beats when that row left together with the last beat.
static void merge(Request *q, unsigned beat_bytes, unsigned shift, unsigned row_offset, unsigned row_bytes) {
    unsigned sent = 0, time = 0;
    q->rows = 0;
    while (sent < q->useful) {
        unsigned piece = sent ? row_bytes : row_bytes - row_offset;
        sent = sent + piece < q->useful ? sent + piece : q->useful;
        unsigned whole = (shift + sent + beat_bytes - 1) / beat_bytes; // beats needed; the row leaves in the next cycle
        time = whole > time + 1 ? whole : time + 1;
        q->at[q->rows++] = time;
    }
    q->occupied = time >= q->beats ? time : time + 1 == q->beats ? q->beats + 1 : q->beats;
}

static const Request *request_for(LoadUnit *u, const Config *c, uint64_t addr, unsigned left, unsigned row_bytes) {
    unsigned row_offset = u->offset & (row_bytes - 1), alignment = (unsigned)addr & (c->max_request_bytes - 1);
    uint64_t key = (uint64_t)left << 32 | (uint64_t)row_bytes << 16 | row_offset << 8 | alignment;
    Request *q = &u->request;
    if (q->key == key) return q;
    q->key = key;
    q->size = request_size(c, addr, left, &q->useful);
    q->beats = q->size / c->beat_bytes;
    merge(q, c->beat_bytes, (unsigned)addr & (q->size - 1), row_offset, row_bytes);
    return q;
}

// Rows that are more than moved: the scaler's few multipliers, or the copies of a row's pixels, take a row several cycles.
static void write_slowly(Timing *t, const Op *op, uint32_t row, uint64_t at, unsigned row_cycles) {
    LoadUnit *u = &t->load;
    unsigned repeats = op->repeated ? op->rows : 1, copies = op->pixel_repeats > 1 ? op->pixel_repeats : 1;
    if (row_cycles > 1) {
        at = later(at + (op->scaled ? row_cycles : 0), u->scaler_free);
        u->scaler_free = at + row_cycles;
    }
    for (unsigned k = 0; k < copies; k++) push_write(u, at + k, bank_of(t, row >= op->writes.first + k ? row - k : row), u->active, op->accumulate);
    for (unsigned k = 1; k < repeats; k++) push_write(u, at + k, bank_of(t, row + k), u->active, op->accumulate);
}

static void send_request(Timing *t, const Op *op) {
    const Config *c = t->config;
    LoadUnit *u = &t->load;
    uint64_t addr = op->dram + (uint64_t)u->row * op->dram_stride + u->offset;
    int wide = op->writes.first >= ACC_BASE && op->full_width;
    unsigned row_bytes = wide ? c->acc_row_bytes : c->spad_row_bytes;
    const Request *q = request_for(u, c, addr, op->row_bytes - u->offset, row_bytes);
    Beats answer;
    uint64_t left = port_read(t, t->now + c->request_cycles, addr & ~(uint64_t)(q->size - 1), q->size, q->occupied, &answer);
    request_sent(&u->requests, answer.last + 1);
    // A few requests fit between the reader and the port; beyond them it waits.
    u->next_request = later(t->now + 1, left > c->request_cycles + c->request_slack ? left - c->request_cycles - c->request_slack : 0);
    unsigned copies = op->pixel_repeats > 1 ? op->pixel_repeats : 1;
    unsigned row_cycles = op->scaled && !wide && copies < c->load_scale_cycles ? c->load_scale_cycles : copies;
    uint64_t first = answer.first + 1 + (wide ? c->load_write_wide_cycles : c->load_write_cycles) - answer.apart;
    uint32_t row = op->writes.first + u->row + (u->offset ? u->offset / row_bytes * op->block_stride : 0);
    for (unsigned i = 0; i < q->rows; i++, row += op->block_stride) {
        uint64_t at = first + (uint64_t)answer.apart * q->at[i];
        if (row_cycles > 1 || op->repeated) write_slowly(t, op, row, at, row_cycles);
        else push_write(u, at, bank_of(t, row), u->active, op->accumulate);
    }
    if (row_cycles > 1 && u->scaler_free > (uint64_t)row_cycles * c->request_slack)
        u->next_request = later(u->next_request, u->scaler_free - (uint64_t)row_cycles * c->request_slack);
    u->offset += q->useful;
    if (u->offset >= op->row_bytes) u->offset = 0, u->row = op->repeated ? op->rows : u->row + 1;
}

// Zeros do not pass through the port: a row, or 16 columns of it, a cycle.
static void write_zeros(Timing *t, const Op *op) {
    LoadUnit *u = &t->load;
    uint64_t at = t->now + t->config->zero_cycles;
    for (unsigned r = 0; r < op->rows; r++)
        for (unsigned b = 0; b < op->blocks; b++)
            push_write(u, at++, bank_of(t, op->writes.first + b * op->block_stride + r), u->active, op->accumulate);
    u->next_request = at - t->config->zero_cycles;
    u->row = op->rows;
}

static void begin(Timing *t, int slot) {
    LoadUnit *u = &t->load;
    int tracker = 0;
    while (tracker < TRACKERS && u->tracker[tracker].slot >= 0) tracker++;
    if (tracker == TRACKERS) return;
    u->tracker[tracker] = (Tracker){.slot = slot, .began = t->now};
    u->active = tracker;
    u->row = u->offset = 0;
    const Fifo *issued = &t->station.issued[UNIT_LOAD];
    uint64_t since = later(later(fifo_wake(issued), u->tracker_free), u->controller_free);
    u->next_request = later(u->next_request, since + (t->station.op[slot].zero_fill ? 0 : t->config->load_start_cycles));
}

// The requests of the active command have left, the last one in this cycle.
static void all_sent(Timing *t, const Op *op) {
    LoadUnit *u = &t->load;
    // The controller runs ahead of the reader; a single row takes it two cycles.
    u->controller_free = t->now + 1 + (op->rows == 1) - (op->zero_fill ? 0 : t->config->load_start_cycles);
    u->tracker[u->active].all_sent = 1;
    u->active = -1;
    fifo_pop(&t->station.issued[UNIT_LOAD]);
    unit_took(t);
}

void load_step(Timing *t) {
    LoadUnit *u = &t->load;
    if (u->active < 0) {
        int slot = fifo_at(&t->station.issued[UNIT_LOAD], 0, t->now);
        if (slot < 0) return;
        begin(t, slot);
        if (u->active < 0) return;
    }
    if (u->next_request > t->now || load_backlog(t)) return;
    const Op *op = &t->station.op[u->tracker[u->active].slot];
    if (op->zero_fill) write_zeros(t, op);
    else {
        if (request_free(&u->requests, t->config->requests_in_flight, t->now) > t->now) return;
        send_request(t, op);
    }
    if (u->row >= op->rows) all_sent(t, op);
}

int load_burst(Timing *t, uint64_t until) {
    const Config *c = t->config;
    LoadUnit *u = &t->load;
    if (u->active < 0) return 0;
    const Op *op = &t->station.op[u->tracker[u->active].slot];
    int moved_only = !op->zero_fill && !op->scaled && !op->repeated && op->pixel_repeats <= 1 && op->row_bytes <= c->beat_bytes;
    uint64_t first = op->dram + (uint64_t)u->row * op->dram_stride, began = t->now, answer;
    if (!moved_only || (first | op->dram_stride) & (c->beat_bytes - 1) || u->next_request > t->now) return 0;
    int wide = op->writes.first >= ACC_BASE && op->full_width;
    unsigned write_cycles = 1 + (wide ? c->load_write_wide_cycles : c->load_write_cycles);
    for (; t->now < until && !load_backlog(t) && request_free(&u->requests, c->requests_in_flight, t->now) <= t->now; t->now++, first += op->dram_stride) {
        if (!port_read_at_once(t, t->now + c->request_cycles, first, &answer)) break;
        request_sent(&u->requests, answer + 1);
        push_write(u, answer + write_cycles, bank_of(t, op->writes.first + u->row), u->active, op->accumulate);
        u->next_request = t->now + 1;
        if (++u->row < op->rows) continue;
        all_sent(t, op);
        t->now++;
        break;
    }
    return t->now > began;
}

static void row_written(Timing *t, Tracker *tracker, uint64_t at) {
    if (--tracker->rows_left || !tracker->all_sent) return;
    station_done(t, tracker->slot, UNIT_LOAD, at + t->config->load_end_cycles);
    timing_slice(t, tracker->slot, tracker->began, at + 1);
}

void load_write(Timing *t) {
    LoadUnit *u = &t->load;
    if (!u->writes_count) return;
    Write w = u->writes[u->writes_head];
    if (w.at > t->now) return;
    if (t->written >> w.bank & 1) { // the array's results come first
        t->bank_wait[UNIT_LOAD]++;
        return;
    }
    u->writes_head = (u->writes_head + 1) % ROWS_RING;
    u->writes_count--;
    u->last_write = t->now;
    t->written |= 1u << w.bank;
    if (w.accumulate) t->accumulated |= 1u << w.bank;
    row_written(t, &u->tracker[w.tracker], t->now);
}

void load_write_until(Timing *t, uint64_t until) {
    LoadUnit *u = &t->load;
    while (u->writes_count) {
        Write w = u->writes[u->writes_head];
        uint64_t at = later(w.at, u->last_write + 1);
        if (at > until) return;
        u->last_write = at;
        u->writes_head = (u->writes_head + 1) % ROWS_RING;
        u->writes_count--;
        row_written(t, &u->tracker[w.tracker], at);
    }
}

int load_empty(const Timing *t) { return !t->load.writes_count && t->load.active < 0; }

uint64_t load_ends(const Timing *t) {
    const LoadUnit *u = &t->load;
    uint64_t end = NEVER;
    for (int i = 0; i < TRACKERS; i++)
        if (u->tracker[i].slot >= 0 && u->tracker[i].rows_left && u->tracker[i].all_sent) end = earlier(end, u->tracker[i].last_row);
    return end;
}

int load_backlog(const Timing *t) { return t->load.writes_count > ROWS_RING / 2; }

uint32_t load_banks(const Timing *t) {
    const LoadUnit *u = &t->load;
    const Fifo *issued = &t->station.issued[UNIT_LOAD];
    uint32_t banks = issued->count ? t->station.write_banks[issued->slot[issued->head]] : 0;
    for (int i = 0; i < TRACKERS; i++) banks |= u->tracker[i].slot >= 0 ? t->station.write_banks[u->tracker[i].slot] : 0;
    return banks;
}

uint64_t load_wake(Timing *t, int alone) {
    LoadUnit *u = &t->load;
    uint64_t wake = alone ? load_ends(t) : u->writes_count ? u->writes[u->writes_head].at : NEVER;
    if (u->active >= 0) {
        int zeros = t->station.op[u->tracker[u->active].slot].zero_fill;
        return earlier(wake, zeros || u->next_request > t->now ? u->next_request : request_free(&u->requests, t->config->requests_in_flight, t->now));
    }
    const Fifo *issued = &t->station.issued[UNIT_LOAD];
    if (!issued->count) return wake;
    int free_tracker = 0;
    for (int i = 0; i < TRACKERS; i++) free_tracker |= u->tracker[i].slot < 0;
    return free_tracker ? earlier(wake, fifo_wake(issued)) : wake;
}
