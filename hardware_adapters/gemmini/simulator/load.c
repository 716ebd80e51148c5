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

static int free_request(const LoadUnit *u, const Config *c, uint64_t now) {
    for (unsigned i = 0; i < c->requests_in_flight; i++)
        if (u->requests[i] <= now) return (int)i;
    return -1;
}

static uint64_t next_free_request(const LoadUnit *u, const Config *c) {
    uint64_t first = NEVER;
    for (unsigned i = 0; i < c->requests_in_flight; i++) first = earlier(first, u->requests[i]);
    return first;
}

typedef struct Rows { // the pieces of rows that a request brings: cycle, counted from the first beat, in which each is whole
    unsigned count, at[8], busy; // busy: cycles until the merger takes the next answer
} Rows;

// The merger takes a beat a cycle and hands on a row a cycle, each one cycle after its last byte came. It is free for the next
// answer as soon as the last row leaves, but a cycle later than the beats when that row left together with the last beat.
static Rows merge(unsigned beats, unsigned beat_bytes, unsigned shift, unsigned useful, unsigned row_offset, unsigned row_bytes) {
    Rows rows = {0};
    unsigned sent = 0, time = 0;
    while (sent < useful) {
        unsigned piece = sent ? row_bytes : row_bytes - row_offset;
        sent = sent + piece < useful ? sent + piece : useful;
        unsigned whole = (shift + sent + beat_bytes - 1) / beat_bytes; // beats needed; the row leaves in the next cycle
        time = whole > time + 1 ? whole : time + 1;
        rows.at[rows.count++] = time;
    }
    rows.busy = time >= beats ? time : time + 1 == beats ? beats + 1 : beats;
    return rows;
}

static void send_request(Timing *t, const Op *op, int request) {
    const Config *c = t->config;
    LoadUnit *u = &t->load;
    uint64_t addr = op->dram + (uint64_t)u->row * op->dram_stride + u->offset;
    unsigned useful, size = request_size(c, addr, op->row_bytes - u->offset, &useful), beats = size / c->beat_bytes;
    int wide = op->writes.first >= ACC_BASE && op->full_width;
    unsigned row_bytes = c->dim * (wide ? 4 : 1), shift = (unsigned)(addr & (size - 1));
    Rows rows = merge(beats, c->beat_bytes, shift, useful, u->offset % row_bytes, row_bytes);
    Beats answer;
    uint64_t left = port_read(t, t->now + c->request_cycles, addr - shift, size, later(rows.busy, beats), &answer);
    u->requests[request] = answer.last + 1;
    unsigned latency = wide ? c->load_write_wide_cycles : c->load_write_cycles, block = u->offset / row_bytes;
    unsigned repeats = op->repeated ? op->rows : 1;
    for (unsigned i = 0; i < rows.count; i++) {
        uint64_t at = answer.first + (uint64_t)answer.apart * (rows.at[i] - 1) + 1 + latency;
        uint32_t row = op->writes.first + (block + i) * op->block_stride + u->row;
        for (unsigned k = 0; k < repeats; k++) push_write(u, at + k, bank_of(t, row + k), u->active, op->accumulate);
    }
    // A few requests fit between the reader and the port; beyond them it waits.
    u->next_request = later(t->now + 1, left > c->request_cycles + c->request_slack ? left - c->request_cycles - c->request_slack : 0);
    u->offset += useful;
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

void load_step(Timing *t) {
    LoadUnit *u = &t->load;
    Fifo *issued = &t->station.issued[UNIT_LOAD];
    if (u->active < 0) {
        int slot = fifo_at(issued, 0, t->now);
        if (slot < 0) return;
        begin(t, slot);
        if (u->active < 0) return;
    }
    if (u->next_request > t->now || u->writes_count > ROWS_RING / 2) return;
    Tracker *tracker = &u->tracker[u->active];
    const Op *op = &t->station.op[tracker->slot];
    if (op->zero_fill) write_zeros(t, op);
    else {
        int request = free_request(u, t->config, t->now);
        if (request < 0) return;
        send_request(t, op, request);
    }
    if (u->row < op->rows) return;
    // The controller runs ahead of the reader; a single row takes it two cycles.
    u->controller_free = t->now + 1 + (op->rows == 1) - (op->zero_fill ? 0 : t->config->load_start_cycles);
    tracker->all_sent = 1;
    u->active = -1;
    fifo_pop(issued);
}

void load_write(Timing *t) {
    LoadUnit *u = &t->load;
    if (!u->writes_count) return;
    Write w = u->writes[u->writes_head];
    if (w.at > t->now || t->written >> w.bank & 1) return; // the array's results come first
    u->writes_head = (u->writes_head + 1) % ROWS_RING;
    u->writes_count--;
    t->written |= 1u << w.bank;
    if (w.accumulate) t->accumulated |= 1u << w.bank;
    Tracker *tracker = &u->tracker[w.tracker];
    if (--tracker->rows_left || !tracker->all_sent) return;
    station_done(t, tracker->slot, UNIT_LOAD, t->now + t->config->load_end_cycles);
    timing_slice(t, tracker->slot, tracker->began, t->now + 1);
}

int load_empty(const Timing *t) { return !t->load.writes_count && t->load.active < 0; }

uint64_t load_wake(const Timing *t) {
    const LoadUnit *u = &t->load;
    uint64_t wake = u->writes_count ? u->writes[u->writes_head].at : NEVER;
    if (u->active >= 0) {
        uint64_t request = next_free_request(u, t->config);
        return earlier(wake, t->station.op[u->tracker[u->active].slot].zero_fill ? u->next_request : later(u->next_request, request));
    }
    const Fifo *issued = &t->station.issued[UNIT_LOAD];
    if (!issued->count) return wake;
    int free_tracker = 0;
    for (int i = 0; i < TRACKERS; i++) free_tracker |= u->tracker[i].slot < 0;
    return free_tracker ? earlier(wake, fifo_wake(issued)) : wake;
}
