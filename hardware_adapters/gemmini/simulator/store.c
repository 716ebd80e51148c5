#include "units.h"

// Store unit: a row, or 16 columns of it, is read from its bank, scaled and handed to the writer, which sends a whole row at
// once. Five rows fit into the scaler, which takes eight cycles: five rows in eight cycles is the speed of mvout. A command is
// complete for the reservation station when its last row has been read, long before that row is in memory.

static unsigned put_beats(const Config *c, uint64_t addr, unsigned left, unsigned *written, int *whole) {
    unsigned best = 0, size = c->beat_bytes;
    for (unsigned s = c->beat_bytes; s <= c->max_request_bytes; s *= 2) {
        unsigned offset = (unsigned)(addr & (s - 1)), bytes = offset + left > s ? s - offset : left;
        if (bytes > best) best = bytes, size = s;
    }
    *written = best;
    *whole = best == size;
    return size / c->beat_bytes;
}

// The writer sends a row that was complete at `t->store.writer_free`.
static void write_row(Timing *t, const Op *op, uint64_t accepted) {
    const Config *c = t->config;
    StoreUnit *u = &t->store;
    uint64_t addr = op->dram + (uint64_t)u->row * op->dram_stride, at = accepted + 1;
    for (unsigned left = op->row_bytes, written; left; left -= written, addr += written) {
        int whole;
        unsigned beats = put_beats(c, addr, left, &written, &whole);
        at = request_free(&u->requests, c->requests_in_flight, at);
        unsigned cost = whole || beats > c->put_partial_cycles ? beats : c->put_partial_cycles;
        uint64_t answer, request = port_write(t, at + c->request_cycles, addr & ~(uint64_t)(beats * c->beat_bytes - 1), beats, cost, &answer);
        request_sent(&u->requests, answer + c->put_answer_cycles);
        u->last_answer = later(u->last_answer, answer + c->put_answer_cycles);
        if (request > at + c->request_cycles + c->request_slack) at = request - c->request_cycles - c->request_slack;
        at += cost;
    }
    t->bytes_out += op->row_bytes;
    u->writer_free = at - 1; // the writer takes the next row together with the last beat
}

// Rows of a bank that make one row in memory: blocks side by side, or the window of a pooled output.
static unsigned pieces(const Op *op) { return op->pool_size ? (unsigned)op->pool_size * op->pool_size : op->blocks; }

static uint32_t bank_row(const Op *op, const StoreUnit *u) {
    uint32_t row = op->reads[0].first + (op->pool_size ? u->row + u->block : u->block * op->block_stride + u->row);
    if (row < op->reads[0].end) return row;
    return op->reads[0].end ? op->reads[0].end - 1 : 0; // a window that hangs over the edge, or an image without a pixel
}

static void begin(Timing *t) {
    StoreUnit *u = &t->store;
    u->started = 1;
    u->row = u->block = 0;
    u->began = t->now;
    u->next_read = later(u->next_read, fifo_wake(&t->station.issued[UNIT_STORE]) + t->config->store_start_cycles);
}

void store_step(Timing *t) {
    const Config *c = t->config;
    StoreUnit *u = &t->store;
    Fifo *issued = &t->station.issued[UNIT_STORE];
    int slot = fifo_at(issued, 0, t->now);
    if (slot < 0) return;
    const Op *op = &t->station.op[slot];
    if (!u->started) begin(t);
    if (u->next_read > t->now) return;
    uint32_t bank = 1u << bank_of(t, bank_row(op, u));
    int acc = op->reads[0].first >= ACC_BASE;
    if (acc ? t->accumulated & bank : (t->written | t->read) & bank) {
        t->bank_wait[UNIT_STORE]++;
        return;
    }

    unsigned depth = acc ? c->scale_cycles : c->spad_read_cycles;
    uint64_t scaled = t->now + 2;
    if (u->rows) scaled = later(scaled, u->scaled[(u->rows - 1) % 8] + 1);
    if (u->rows >= SCALE_DEPTH) scaled = later(scaled, u->written[(u->rows - SCALE_DEPTH) % 8]);
    uint64_t accepted = later(scaled + depth, u->writer_free);
    u->scaled[u->rows % 8] = scaled;
    u->written[u->rows % 8] = accepted;
    u->rows++;
    u->writer_free = accepted + 1;
    int whole = u->block + 1 == pieces(op);
    if (whole && !op->norm_command) write_row(t, op, accepted);
    u->next_read = t->now + 1;
    if (u->rows >= READ_AHEAD) u->next_read = later(u->next_read, u->scaled[(u->rows - READ_AHEAD) % 8] + 1);
    u->block = whole ? 0 : u->block + 1;
    u->row += (unsigned)whole;
    if (u->row < op->rows) return;
    station_done(t, slot, UNIT_STORE, t->now + c->store_end_cycles);
    timing_slice(t, slot, u->began, t->now + 1);
    u->started = 0;
    fifo_pop(issued);
    unit_took(t);
}

uint64_t store_wake(const Timing *t) {
    const Fifo *issued = &t->station.issued[UNIT_STORE];
    return t->store.started ? later(t->store.next_read, t->now) : fifo_wake(issued);
}
