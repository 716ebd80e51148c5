// Gemmini commands, as code on the core could issue them: fields are mostly small and plausible, so that sequences get past
// the checks, and now and then anything at all.
#include <string.h>

#include "gemmini_state.h"
#include "target.h"

enum { TIMED = 1, PROFILE = 2, WRITTEN = 4, CONFIGURATION_SHIFT = 3, MOST_COMMANDS = 400, MOST_WORK = 200000 };
enum { BUFFER_BYTES = 1 << 20, LINE = 64 };
static const uint64_t BUFFER = 0x90000000;

typedef struct Fuzz {
    Input in;
    Gemmini *gemmini;
    uint64_t cycle;
    unsigned dim, spad_rows, acc_rows, sent;
    int timed;
} Fuzz;

static void send(Fuzz *f, unsigned funct, uint64_t rs1, uint64_t rs2) {
    uint64_t rd;
    f->cycle = gemmini_command(f->gemmini, f->cycle, 0x80000000 + 4 * f->sent++, funct, rs1, rs2, &rd);
}

// One of a few values that matter, or any of `bytes` bytes.
static uint64_t pick(Fuzz *f, const uint64_t *usual, unsigned count, unsigned bytes) {
    unsigned which = (unsigned)eat(&f->in, 1);
    return which < 240 ? usual[which % count] : eat(&f->in, bytes);
}
#define PICK(f, bytes, ...) pick(f, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), bytes)

static uint64_t size_field(Fuzz *f) { return PICK(f, 2, f->dim, 1, f->dim, 2, f->dim - 1, 4, f->dim + 1, 3, 0, 4 * f->dim, f->dim / 2); }

static uint64_t dram(Fuzz *f) {
    unsigned which = (unsigned)eat(&f->in, 1);
    if (which < 200) return BUFFER + which * LINE;
    if (which < 220) return BUFFER + eat(&f->in, 2);
    if (which < 230) return BUFFER + BUFFER_BYTES - eat(&f->in, 2);
    return which < 248 ? 0 : eat(&f->in, 8);
}

static uint32_t local(Fuzz *f) {
    unsigned which = (unsigned)eat(&f->in, 1), row = (unsigned)eat(&f->in, 1) * (f->dim / 4);
    switch (which % 16) {
    case 0: case 1: case 2: case 3: case 4: return row;
    case 5: return f->spad_rows - 1 - row % (2 * f->dim);
    case 6: return f->spad_rows / 2 + row;
    case 7: case 8: return ACC_BIT | row % f->acc_rows;
    case 9: return ACC_BIT | ACCUMULATE_BIT | row % f->acc_rows;
    case 10: return ACC_BIT | FULL_BIT | row % f->acc_rows;
    case 11: return (ACC_BIT | f->acc_rows) - 1 - row % (2 * f->dim);
    case 12: return ACC_BIT | (which >> 4 & 7) << NORM_SHIFT | row % f->acc_rows;
    case 13: case 14: return GARBAGE;
    default: return (uint32_t)eat(&f->in, 4);
    }
}

static uint64_t operand(Fuzz *f) {
    uint64_t at = local(f), cols = size_field(f), rows = size_field(f);
    return (rows & 0xffff) << 48 | (cols & 0xffff) << 32 | at;
}

static void configure(Fuzz *f) {
    static const uint32_t ONE = 0x3f800000, HALF = 0x3f000000, NEGATIVE = 0xbf800000, NOT_A_NUMBER = 0x7fc00000, INFINITE = 0x7f800000;
    unsigned which = (unsigned)eat(&f->in, 1);
    uint64_t scale = PICK(f, 4, ONE, ONE, ONE, HALF, NEGATIVE, NOT_A_NUMBER, INFINITE, 0xffffffff), flags = eat(&f->in, 2);
    switch (which % 4) {
    case 0: {
        uint64_t stride = PICK(f, 2, 1, 1, 1, 2, 0, f->dim), c_stride = PICK(f, 2, 1, 1, 1, 2, 0, f->dim), shift = PICK(f, 4, 0, 0, 0, 1, 31, 32);
        send(f, FUNCT_CONFIG, ((flags & 0x39c) ^ 4) | scale << 32 | (stride & 0xffff) << 16, c_stride << 48 | (uint32_t)shift);
        return;
    }
    case 1: {
        uint64_t stride = PICK(f, 8, f->dim, 4 * f->dim, 64, 0, 1, 48, 4096), block = PICK(f, 2, f->dim, f->dim, f->dim, 2, 64), repeats = PICK(f, 1, 1, 0, 1, 2, 4, f->dim);
        send(f, FUNCT_CONFIG, scale << 32 | (block & 0xffff) << 16 | (repeats & 0xff) << 8 | (flags & 0x1c) | 1, stride);
        return;
    }
    case 2: {
        uint64_t pool = which & 0x80 ? eat(&f->in, 6) : 0, stride = PICK(f, 4, f->dim, 4 * f->dim, 64, 0, 1, 4096);
        send(f, FUNCT_CONFIG, pool << 24 & ~UINT64_C(0xffffff) ? pool << 24 | (flags & 0xffc) | 2 : (flags & 0xc) | 2, scale << 32 | (uint32_t)stride);
        return;
    }
    default: send(f, FUNCT_CONFIG, eat(&f->in, 4) << 32 | (flags & 0x7) << 16 | (flags >> 8 & 7) << 8 | 3, eat(&f->in, 8));
    }
}

static void loop_matmul_sequence(Fuzz *f) {
    uint64_t i = PICK(f, 2, 1, 2, 3, 4), j = PICK(f, 2, 1, 2, 4, 5), k = PICK(f, 2, 1, 2, 8, 16), pads = eat(&f->in, 3), which = eat(&f->in, 1), rs1 = eat(&f->in, 2);
    uint64_t a = dram(f), b = dram(f), c = dram(f), d = which & 1 ? dram(f) : 0, stride = PICK(f, 4, f->dim, 2 * f->dim, 8 * f->dim);
    send(f, FUNCT_LOOP_WS_FIRST, (pads & 7) | (pads & 0x700) << 8 | (pads & 0x70000) << 16, (i & 0xffff) | (j & 0xffff) << 16 | (k & 0xffff) << 32);
    send(f, FUNCT_LOOP_WS_FIRST + 1, a, b);
    send(f, FUNCT_LOOP_WS_FIRST + 2, d, c);
    send(f, FUNCT_LOOP_WS_FIRST + 3, stride, stride);
    send(f, FUNCT_LOOP_WS_FIRST + 4, stride, stride);
    if (which >> 1 & 7) send(f, FUNCT_LOOP_WS, (rs1 & 0x707) | (rs1 & 0xf000) << 4, which >> 5 & 7);
}

static void loop_conv_sequence(Fuzz *f) {
    uint64_t v[32]; // one for each field, mostly small
    for (unsigned n = 0; n < 32; n++) v[n] = PICK(f, 2, 1, 2, 3, 4, 1, f->dim, 8, 0) & 0xffff;
    uint64_t flags = eat(&f->in, 2), pads = eat(&f->in, 2), pooling = eat(&f->in, 3);
    send(f, 16, v[0] | v[1] << 16 | v[2] << 32 | v[3] << 48, v[4] | v[5] << 16 | v[6] << 32 | (v[7] & 0xff) << 48);
    send(f, 17, v[8] << 48 | v[9] << 32 | (pooling & 3) << 16 | (pooling >> 2 & 3) << 8 | (pads & 0xff), v[10] << 48 | v[11] << 32 | v[12] << 16 | v[13]);
    send(f, 18, v[14] << 48 | v[15] << 32 | v[16] << 16 | (pads & 3), (pads >> 2 & 3) << 48 | (pads >> 4 & 3) << 32 | (pads >> 6 & 3) << 24 | (pooling >> 4 & 3) << 16 | v[17]);
    send(f, 19, v[18] << 48 | (pooling >> 6 & 3) << 21 | (v[19] & 0xff), v[20] << 48 | v[21] << 32 | v[22] << 16 | v[23]);
    uint64_t weights = dram(f), output = dram(f), bias = dram(f), input = dram(f);
    send(f, 20, weights, output);
    send(f, 21, bias, input);
    send(f, FUNCT_LOOP_CONV, (flags & 0x7f) | (v[24] & 0xff) << 8 | (pooling >> 8 & 15) << 16, (flags >> 8 & 0x1f) ^ 1);
}

static void command(Fuzz *f) {
    unsigned which = (unsigned)eat(&f->in, 1);
    switch (which % 16) {
    case 0: case 1: configure(f); break;
    case 2: case 3: case 4: {
        static const unsigned MOVES[] = {FUNCT_MVIN, FUNCT_MVIN2, FUNCT_MVIN3};
        uint64_t from = dram(f);
        send(f, MOVES[(which >> 4) % 3], from, operand(f));
        break;
    }
    case 5: case 6: {
        uint64_t to = dram(f);
        send(f, FUNCT_MVOUT, to, operand(f));
        break;
    }
    case 7: case 8: case 9: {
        uint64_t b = operand(f), c = operand(f);
        send(f, FUNCT_PRELOAD, b, c);
        if (which & 0x10) break;
        uint64_t a = operand(f), d = operand(f);
        send(f, which & 0x20 ? FUNCT_COMPUTE_ACCUMULATED : FUNCT_COMPUTE_PRELOADED, a, d);
        break;
    }
    case 10: {
        uint64_t a = operand(f), d = operand(f);
        send(f, which & 0x20 ? FUNCT_COMPUTE_ACCUMULATED : FUNCT_COMPUTE_PRELOADED, a, d);
        break;
    }
    case 11: f->cycle = gemmini_fence(f->gemmini, f->cycle); break;
    case 12: loop_matmul_sequence(f); break;
    case 13: loop_conv_sequence(f); break;
    case 14: send(f, which & 0x80 ? FUNCT_COUNTER : FUNCT_FLUSH, eat(&f->in, 4), 0); break;
    default: {
        unsigned funct = (unsigned)eat(&f->in, 1) & 127;
        uint64_t rs1 = eat(&f->in, 8);
        send(f, funct, rs1, eat(&f->in, 8));
    }
    }
    if (which == 0xff && f->timed) f->cycle += eat(&f->in, 2); // the core does something else
}

static void count(void *ctx, const char *name, int64_t value) { *(uint64_t *)ctx += (uint64_t)value + (uint64_t)*name; }

void fuzz_commands(const uint8_t *data, size_t size) {
    Fuzz f = {.in = {data, size}};
    unsigned flags = (unsigned)eat(&f.in, 1);
    char error[200];
    uint64_t sum = 0;
    f.timed = flags & TIMED;
    Machine *m = machine_of(flags >> CONFIGURATION_SHIFT & (CONFIGURATIONS - 1), f.timed);
    f.gemmini = gemmini_of(m);
    f.dim = f.gemmini->dim;
    f.spad_rows = f.gemmini->config->spad_rows;
    f.acc_rows = f.gemmini->config->acc_rows;
    Region *r = memory_add(memory_of(m), BUFFER, BUFFER_BYTES, MEM_R | MEM_W, "buffer", error);
    for (unsigned i = 0; size && i < 4096; i++) r->host[i] = data[i % size];
    r->is_buffer = 1;
    if (flags & WRITTEN) gemmini_zero_fill(f.gemmini);
    fault_clear();
    fault_locator(NULL, NULL);
    if (setjmp(fault_jump) != 0) return;
    if (flags & PROFILE && f.timed) gemmini_profile_start(f.gemmini);
    gemmini_mark(f.gemmini, 0);
    while (f.in.left && f.sent < MOST_COMMANDS && gemmini_work(f.gemmini) < MOST_WORK) command(&f);
    f.cycle = gemmini_fence(f.gemmini, f.cycle);
    gemmini_counters(f.gemmini, count, &sum);
    if (flags & PROFILE && f.timed) write_profile(m, f.cycle);
}
