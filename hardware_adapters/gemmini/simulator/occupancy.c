#include "occupancy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// A row is live from a write to the last read before the next write. That is known only afterwards, and so is the length
// of the call: whenever it outgrows the intervals, pairs of them become one.

enum { INTERVALS = 64, FIRST_WIDTH = 16, MEMORIES = 2 };

typedef struct Row {
    uint64_t written, read; // cycles; read < written: not yet
    int set;
} Row;

struct Occupancy {
    unsigned spad_rows, acc_rows;
    Row *row; // the accumulator's after the scratchpad's
    uint64_t start, end, width, row_cycles[MEMORIES][INTERVALS];
};

Occupancy *occupancy_new(const Config *c) {
    Occupancy *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->spad_rows = c->spad_rows;
    o->acc_rows = c->acc_rows;
    o->row = calloc(c->spad_rows + c->acc_rows, sizeof *o->row);
    if (o->row) return o;
    free(o);
    return NULL;
}

void occupancy_start(Occupancy *o, uint64_t cycle) {
    memset(o->row, 0, (o->spad_rows + o->acc_rows) * sizeof *o->row);
    memset(o->row_cycles, 0, sizeof o->row_cycles);
    o->start = o->end = cycle;
    o->width = FIRST_WIDTH;
}

static void widen(Occupancy *o) {
    for (int m = 0; m < MEMORIES; m++) {
        uint64_t *r = o->row_cycles[m];
        for (int i = 0; i < INTERVALS / 2; i++) r[i] = r[2 * i] + r[2 * i + 1];
        memset(r + INTERVALS / 2, 0, INTERVALS / 2 * sizeof *r);
    }
    o->width *= 2;
}

static void cover(Occupancy *o, uint64_t cycle) {
    if (cycle > o->end) o->end = cycle;
    while (o->end - o->start > INTERVALS * o->width) widen(o);
}

static void close_row(Occupancy *o, unsigned index) {
    Row *r = &o->row[index];
    if (!r->set || r->read <= r->written) return;
    uint64_t from = r->written - o->start, to = r->read - o->start, *cycles = o->row_cycles[index >= o->spad_rows];
    for (uint64_t i = from / o->width; i * o->width < to; i++) {
        uint64_t first = i * o->width > from ? i * o->width : from, last = (i + 1) * o->width < to ? (i + 1) * o->width : to;
        cycles[i] += last - first;
    }
}

// The row's index, or that of no row: values of an operand that wraps or is none are not followed.
static unsigned index_of(const Occupancy *o, uint32_t row) { return row >= ACC_BASE ? o->spad_rows + (row - ACC_BASE) : row; }

void occupancy_read(Occupancy *o, Range range, uint64_t cycle) {
    cover(o, cycle);
    for (uint32_t row = range.first; row < range.end; row++) {
        Row *r = &o->row[index_of(o, row)];
        if (cycle > r->read) r->read = cycle;
    }
}

static void write_row(Occupancy *o, uint32_t row, int accumulate, uint64_t cycle) {
    unsigned index = index_of(o, row);
    Row *r = &o->row[index];
    if (accumulate && r->set) {
        if (cycle > r->read) r->read = cycle;
        return;
    }
    close_row(o, index);
    *r = (Row){.written = cycle, .set = 1};
}

void occupancy_write(Occupancy *o, const Op *op, uint64_t cycle) {
    cover(o, cycle);
    unsigned blocks = op->kind == KIND_MVIN ? op->blocks : 1, apart = op->kind == KIND_MVIN ? 1 : op->row_stride;
    if (op->kind == KIND_MVIN && op->pixel_repeats > 1) { // also the rows above
        for (uint32_t row = op->writes.first; row < op->writes.end; row++) write_row(o, row, 0, cycle);
        return;
    }
    for (unsigned b = 0; b < blocks; b++)
        for (unsigned r = 0; r < op->rows; r++) write_row(o, op->writes.first + b * op->block_stride + r * apart, op->accumulate, cycle);
}

void occupancy_end(Occupancy *o, uint64_t cycle) {
    cover(o, cycle);
    for (unsigned i = 0; i < o->spad_rows + o->acc_rows; i++) close_row(o, i);
}

static unsigned intervals(const Occupancy *o) { return (unsigned)((o->end - o->start + o->width - 1) / o->width); }

static uint64_t average(const Occupancy *o, int memory, unsigned i) {
    uint64_t left = o->end - o->start - i * o->width, width = left < o->width ? left : o->width;
    return (o->row_cycles[memory][i] + width / 2) / width;
}

void occupancy_json(const Occupancy *o, FILE *out) {
    static const char *const NAMES[MEMORIES] = {"spad", "acc"};
    fprintf(out, "{\"interval_cycles\":%" PRIu64, o->width);
    for (int m = 0; m < MEMORIES; m++) {
        fprintf(out, ",\"%s\":[", NAMES[m]);
        for (unsigned i = 0; i < intervals(o); i++) fprintf(out, "%s%" PRIu64, i ? "," : "", average(o, m, i));
        fputc(']', out);
    }
    fputc('}', out);
}

void occupancy_events(const Occupancy *o, FILE *out) {
    static const char *const NAMES[MEMORIES] = {"scratchpad rows live", "accumulator rows live"};
    for (int m = 0; m < MEMORIES; m++)
        for (unsigned i = 0; i < intervals(o); i++)
            fprintf(out, ",\n{\"name\":\"%s\",\"ph\":\"C\",\"pid\":1,\"ts\":%" PRIu64 ",\"args\":{\"rows\":%" PRIu64 "}}", NAMES[m], i * o->width,
                    average(o, m, i));
}
