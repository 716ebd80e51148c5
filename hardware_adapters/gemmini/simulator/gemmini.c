#include "gemmini.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "fault.h"
#include "timing.h"

// The function of Gemmini's weight-stationary commands, bit-exact and in program order. What a row holds is tracked per
// element, so that reading what was never written is the kernel's error, as it would be on hardware.

enum { DIM = 16, MAX_BLOCKS = 4, LOAD_IDS = 3, RELU = 1 };
enum { FUNCT_CONFIG = 0, FUNCT_MVIN2 = 1, FUNCT_MVIN = 2, FUNCT_MVOUT = 3, FUNCT_COMPUTE_PRELOADED = 4,
       FUNCT_COMPUTE_ACCUMULATED = 5, FUNCT_PRELOAD = 6, FUNCT_FLUSH = 7, FUNCT_MVIN3 = 14 };
static const uint32_t GARBAGE = 0xffffffffu, ACC_BIT = 1u << 31, ACCUMULATE_BIT = 1u << 30, FULL_BIT = 1u << 29, ROW_MASK = (1u << 29) - 1;

typedef struct LoadConfig {
    int set, shrunk;
    uint64_t stride;
    float scale;
    unsigned block_stride;
} LoadConfig;

typedef struct Operand { // the packed rs2-style operand: rows << 48 | cols << 32 | local address
    uint32_t local;
    unsigned rows, cols;
} Operand;

struct Gemmini {
    const Config *config;
    Memory *memory;
    L2 *l2;
    Timing *timing;
    int timed;

    int8_t (*spad)[DIM];
    int32_t (*acc)[DIM];
    uint16_t *spad_set, *acc_set; // a bit for each element that has been written

    LoadConfig load[LOAD_IDS];
    int execute_set, store_set, preloaded, weights_set;
    unsigned a_stride, c_stride, shift, execute_activation, store_activation;
    uint64_t store_stride;
    float store_scale;
    Operand b, c;                // latched by preload
    float weights[DIM][DIM]; // B; float32 holds every sum of 16 products of int8 exactly, and hosts multiply it fastest

    uint64_t commands, kinds[8];
    uint64_t zero_fill_rows; // accumulator rows filled from address 0
    unsigned spad_high, acc_high; // rows used, for the profile
};

enum { COUNT_CONFIG_EX, COUNT_CONFIG_LD, COUNT_CONFIG_ST, COUNT_MVIN, COUNT_MVOUT, COUNT_PRELOAD, COUNT_COMPUTE, COUNT_FLUSH };
static const char *const COUNT_NAMES[] = {"config_ex", "config_ld", "config_st", "mvin", "mvout", "preload", "compute", "flush"};

Gemmini *gemmini_new(const Config *config, Memory *memory, L2 *l2) {
    Gemmini *g = calloc(1, sizeof *g);
    if (!g || config->dim != DIM) return NULL;
    g->config = config;
    g->memory = memory;
    g->l2 = l2;
    g->timing = timing_new(config, l2);
    g->spad = calloc(config->spad_rows, sizeof *g->spad);
    g->acc = calloc(config->acc_rows, sizeof *g->acc);
    g->spad_set = calloc(config->spad_rows, sizeof *g->spad_set);
    g->acc_set = calloc(config->acc_rows, sizeof *g->acc_set);
    return g->timing && g->spad && g->acc && g->spad_set && g->acc_set ? g : NULL;
}

void gemmini_reset(Gemmini *g, int timed) {
    const Config *c = g->config;
    memset(g->spad, 0, c->spad_rows * sizeof *g->spad);
    memset(g->acc, 0, c->acc_rows * sizeof *g->acc);
    memset(g->spad_set, 0, c->spad_rows * sizeof *g->spad_set);
    memset(g->acc_set, 0, c->acc_rows * sizeof *g->acc_set);
    memset(g->load, 0, sizeof g->load);
    g->execute_set = g->store_set = g->preloaded = g->weights_set = 0;
    g->timed = timed;
    g->commands = 0;
    g->spad_high = g->acc_high = 0;
    memset(g->kinds, 0, sizeof g->kinds);
    g->zero_fill_rows = 0;
    timing_reset(g->timing);
}

// --- operands

static float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static Operand operand(uint64_t packed) {
    return (Operand){(uint32_t)packed, (unsigned)(packed >> 48), (unsigned)(packed >> 32) & 0xffff};
}

static void check_size(Operand o, unsigned max_cols, const char *what) {
    if (o.rows == 0 || o.cols == 0) fault_raise("limit_exceeded", "%s of %u rows and %u columns: both must be at least 1", what, o.rows, o.cols);
    if (o.rows > DIM) fault_raise("limit_exceeded", "%s of %u rows: at most %d", what, o.rows, DIM);
    if (o.cols > max_cols) fault_raise("limit_exceeded", "%s of %u columns: at most %u", what, o.cols, max_cols);
}

static Range local_range(const Gemmini *g, uint32_t local, unsigned rows, const char *what) {
    int acc = (local & ACC_BIT) != 0;
    uint32_t row = local & ROW_MASK;
    unsigned size = acc ? g->config->acc_rows : g->config->spad_rows;
    if (local == GARBAGE) fault_raise("bad_local_address", "%s needs a local address, not NONE", what);
    if (row >= size || rows > size - row)
        fault_raise("bad_local_address", "%s touches %s rows %u to %u: there are %u", what, acc ? "accumulator" : "scratchpad", row, row + rows - 1, size);
    uint32_t first = row + (acc ? ACC_BASE : 0);
    return (Range){first, first + rows};
}

static uint16_t column_mask(unsigned cols) { return (uint16_t)((1u << cols) - 1); }

static void need_set(const Gemmini *g, int acc, uint32_t row, unsigned cols, const char *what) {
    uint16_t missing = column_mask(cols) & (uint16_t) ~(acc ? g->acc_set : g->spad_set)[row];
    if (missing)
        fault_raise("uninitialised_read", "%s reads %s row %u, column %d, which was never written", what, acc ? "accumulator" : "scratchpad", row,
                    __builtin_ctz(missing));
}

static int8_t saturate(int64_t v) { return (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v); }

// float32(v) x scale, rounded half to even, saturated by sign.
static int8_t scale_to_int8(int32_t v, float scale) {
    float x = (float)v * scale;
    if (isnan(x)) return 0;
    if (x >= 127.0f) return 127;
    if (x <= -128.0f) return -128;
    return (int8_t)rintf(x);
}

// --- mvin

static void store_row(Gemmini *g, const LoadConfig *load, int acc, int accumulate, uint32_t row, const uint8_t *data, unsigned cols) {
    if (!acc) {
        if (!data) memset(g->spad[row], 0, cols);
        else if (load->scale == 1.0f && cols == DIM) memcpy(g->spad[row], data, DIM);
        else
            for (unsigned c = 0; c < cols; c++) g->spad[row][c] = scale_to_int8((int8_t)data[c], load->scale);
        g->spad_set[row] |= column_mask(cols);
        return;
    }
    if (accumulate) need_set(g, 1, row, cols, "an accumulating mvin");
    if (data && !load->shrunk && !accumulate) memcpy(g->acc[row], data, 4 * cols);
    else for (unsigned c = 0; c < cols; c++) {
        int32_t v = 0;
        if (data && load->shrunk) v = load->scale == 1.0f ? (int8_t)data[c] : scale_to_int8((int8_t)data[c], load->scale);
        else if (data) memcpy(&v, data + 4 * c, sizeof v);
        g->acc[row][c] = accumulate ? (int32_t)((uint32_t)g->acc[row][c] + (uint32_t)v) : v;
    }
    g->acc_set[row] |= column_mask(cols);
}

static void use_rows(Gemmini *g, Range r) {
    unsigned *high = r.first >= ACC_BASE ? &g->acc_high : &g->spad_high, end = r.end & (ACC_BASE - 1);
    if (end > *high) *high = end;
}

static void mvin(Gemmini *g, unsigned id, uint64_t dram, Operand o, Op *op) {
    static const char *const NAMES[] = {"mvin", "mvin2", "mvin3"};
    const char *name = NAMES[id];
    const LoadConfig *load = &g->load[id];
    if (!load->set) fault_raise("unset_configuration", "%s before a config_ld with id %u", name, id);
    check_size(o, MAX_BLOCKS * DIM, name);
    unsigned blocks = (o.cols + DIM - 1) / DIM;
    if (blocks > 1 && load->block_stride < o.rows)
        fault_raise("limit_exceeded", "%s of %u columns with a block stride of %u rows: blocks of %u rows would overlap", name, o.cols, load->block_stride, o.rows);
    Range local = local_range(g, o.local, (blocks - 1) * load->block_stride + o.rows, name);
    int acc = (o.local & ACC_BIT) != 0, accumulate = acc && (o.local & ACCUMULATE_BIT);
    unsigned element = acc && !load->shrunk ? 4 : 1;
    if (dram) memory_count_dma(g->memory, dram, (uint64_t)o.rows * o.cols * element, 0);
    for (unsigned r = 0; r < o.rows; r++) {
        const uint8_t *data = dram ? memory_at(g->memory, dram + r * load->stride, (uint64_t)o.cols * element, MEM_R, name) : NULL;
        for (unsigned b = 0; b < blocks; b++) {
            unsigned cols = o.cols - b * DIM < DIM ? o.cols - b * DIM : DIM;
            uint32_t row = (o.local & ROW_MASK) + b * load->block_stride + r;
            store_row(g, load, acc, accumulate, row, data ? data + b * DIM * element : NULL, cols);
        }
    }
    use_rows(g, local);
    if (acc && !dram) g->zero_fill_rows += (uint64_t)o.rows * blocks;
    *op = (Op){.unit = UNIT_LOAD, .kind = KIND_MVIN, .zero_fill = dram == 0, .accumulate = (uint8_t)accumulate, .full_width = element == 4, .repeated = load->stride == 0,
               .rows = (uint16_t)o.rows, .cols = (uint16_t)o.cols, .blocks = (uint16_t)blocks, .block_stride = load->block_stride,
               .dram = dram, .dram_stride = load->stride, .row_bytes = o.cols * element, .writes = local};
}

// --- mvout

static void mvout(Gemmini *g, uint64_t dram, Operand o, Op *op) {
    if (!g->store_set) fault_raise("unset_configuration", "mvout before a config_st");
    check_size(o, MAX_BLOCKS * DIM, "mvout");
    unsigned blocks = (o.cols + DIM - 1) / DIM;
    Range local = local_range(g, o.local, (blocks - 1) * DIM + o.rows, "mvout");
    int acc = (o.local & ACC_BIT) != 0, full = acc && (o.local & FULL_BIT);
    unsigned element = full ? 4 : 1;
    for (unsigned r = 0; r < o.rows; r++) {
        uint64_t address = dram + r * g->store_stride;
        uint8_t *out = memory_at(g->memory, address, (uint64_t)o.cols * element, MEM_W, "mvout");
        memory_count_dma(g->memory, address, (uint64_t)o.cols * element, 1);
        for (unsigned c = 0; c < o.cols; c++) {
            uint32_t row = (o.local & ROW_MASK) + c / DIM * DIM + r;
            if (c % DIM == 0) need_set(g, acc, row, o.cols - c < DIM ? o.cols - c : DIM, "mvout");
            if (full) memcpy(out + 4 * c, &g->acc[row][c % DIM], 4);
            else if (acc) {
                int32_t v = g->acc[row][c % DIM];
                int8_t s = g->store_scale == 1.0f ? saturate(v) : scale_to_int8(v, g->store_scale);
                out[c] = (uint8_t)(g->store_activation == RELU && s < 0 ? 0 : s);
            } else out[c] = (uint8_t)g->spad[row][c % DIM];
        }
    }
    *op = (Op){.unit = UNIT_STORE, .kind = KIND_MVOUT, .full_width = (uint8_t)full, .rows = (uint16_t)o.rows, .cols = (uint16_t)o.cols,
               .blocks = (uint16_t)blocks, .block_stride = DIM, .dram = dram, .dram_stride = g->store_stride, .row_bytes = o.cols * element, .reads = {local}};
}

// --- preload and compute

static void preload(Gemmini *g, Operand b, Operand c, Op *op) {
    if (!g->execute_set) fault_raise("unset_configuration", "preload before a config_ex");
    *op = (Op){.unit = UNIT_EXECUTE, .kind = KIND_PRELOAD, .a_row = NO_ROW, .b_row = NO_ROW};
    if (b.local != GARBAGE) {
        check_size(b, DIM, "the B operand of preload");
        if (b.local & ACC_BIT) fault_raise("bad_local_address", "preload takes B from the scratchpad, not from the accumulator");
        op->reads[0] = local_range(g, b.local, b.rows, "the B operand of preload");
        op->b_row = b.local & ROW_MASK;
        op->b_rows = (uint16_t)b.rows;
    }
    if (c.local != GARBAGE) {
        check_size(c, DIM, "the C operand of preload");
        op->writes = local_range(g, c.local, (c.rows - 1) * g->c_stride + 1, "the C operand of preload");
        if (!(c.local & ACC_BIT) && (c.local & ACCUMULATE_BIT)) fault_raise("bad_local_address", "the scratchpad cannot accumulate: set bit 31 for an accumulator address");
        op->rows = (uint16_t)c.rows;
        op->row_stride = (uint16_t)g->c_stride;
        op->accumulate = (c.local & ACCUMULATE_BIT) != 0;
        use_rows(g, op->writes);
    }
    g->b = b;
    g->c = c;
    g->preloaded = 1;
}

static void load_weights(Gemmini *g) {
    memset(g->weights, 0, sizeof g->weights);
    g->weights_set = 1;
    if (g->b.local == GARBAGE) return;
    for (unsigned r = 0; r < g->b.rows; r++) {
        uint32_t row = (g->b.local & ROW_MASK) + r;
        need_set(g, 0, row, g->b.cols, "preload (B)");
        for (unsigned c = 0; c < g->b.cols; c++) g->weights[r][c] = g->spad[row][c];
    }
}

static void multiply_row(const int8_t a[DIM], float weights[DIM][DIM], int32_t sum[DIM]) {
    float product[DIM] = {0};
    for (int k = 0; k < DIM; k++)
        for (int c = 0; c < DIM; c++) product[c] += (float)a[k] * weights[k][c];
    for (int c = 0; c < DIM; c++) sum[c] += (int32_t)product[c];
}

static void write_result(Gemmini *g, unsigned r, const int32_t sum[DIM]) {
    uint32_t row = (g->c.local & ROW_MASK) + r * g->c_stride;
    if (g->c.local & ACC_BIT) {
        int accumulate = (g->c.local & ACCUMULATE_BIT) != 0;
        if (accumulate) need_set(g, 1, row, g->c.cols, "an accumulating compute (C)");
        if (!accumulate) memcpy(g->acc[row], sum, g->c.cols * sizeof *sum);
        else
            for (unsigned c = 0; c < g->c.cols; c++) g->acc[row][c] = (int32_t)((uint32_t)g->acc[row][c] + (uint32_t)sum[c]);
        g->acc_set[row] |= column_mask(g->c.cols);
        return;
    }
    for (unsigned c = 0; c < g->c.cols; c++) {
        int64_t v = sum[c];
        if (g->shift) { // rounding right shift, half to even
            int64_t q = v >> g->shift, rest = v & ((INT64_C(1) << g->shift) - 1), half = INT64_C(1) << (g->shift - 1);
            v = q + (rest > half || (rest == half && (q & 1)));
        }
        int8_t s = saturate(v);
        g->spad[row][c] = g->execute_activation == RELU && s < 0 ? 0 : s;
    }
    g->spad_set[row] |= column_mask(g->c.cols);
}

static Range spad_operand(const Gemmini *g, Operand o, unsigned stride, const char *what) {
    if (o.local == GARBAGE) return (Range){0, 0};
    check_size(o, DIM, what);
    if (o.local & ACC_BIT) fault_raise("bad_local_address", "%s comes from the scratchpad, not from the accumulator", what);
    return local_range(g, o.local, (o.rows - 1) * stride + 1, what);
}

static void compute(Gemmini *g, int accumulated, Operand a, Operand d, Op *op) {
    if (!g->preloaded) fault_raise("unset_configuration", "compute without a preload before it");
    g->preloaded = 0;
    Range ra = spad_operand(g, a, g->a_stride, "the A operand of compute"), rd = spad_operand(g, d, 1, "the D operand of compute");
    if (!accumulated) load_weights(g);
    else if (!g->weights_set) fault_raise("unset_configuration", "compute_accumulated reuses weights, but none were ever loaded");
    unsigned rows = g->c.local == GARBAGE ? 0 : g->c.rows;
    int32_t sums[DIM][DIM] = {{0}}; // every operand row enters the array before the first result leaves it: C may overlap A and D
    for (unsigned r = 0; r < rows; r++) {
        int8_t left[DIM] = {0};
        int32_t *sum = sums[r];
        if (a.local != GARBAGE && r < a.rows) {
            uint32_t row = (a.local & ROW_MASK) + r * g->a_stride;
            need_set(g, 0, row, a.cols, "compute (A)");
            memcpy(left, g->spad[row], a.cols);
        }
        if (d.local != GARBAGE && r < d.rows) {
            need_set(g, 0, (d.local & ROW_MASK) + r, d.cols, "compute (D)");
            for (unsigned c = 0; c < d.cols; c++) sum[c] = g->spad[(d.local & ROW_MASK) + r][c];
        }
        multiply_row(left, g->weights, sum);
    }
    for (unsigned r = 0; r < rows; r++) write_result(g, r, sums[r]);
    *op = (Op){.unit = UNIT_EXECUTE, .kind = KIND_COMPUTE, .rows = (uint16_t)(a.local == GARBAGE ? 1 : a.rows), .reads = {ra, rd},
               .a_row = a.local == GARBAGE ? NO_ROW : a.local & ROW_MASK, .b_row = d.local == GARBAGE ? NO_ROW : d.local & ROW_MASK,
               .b_rows = (uint16_t)d.rows};
}

// --- configuration

static void config_execute(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    if (rs1 >> 7 & 1) fault_raise("unsupported_command", "config_ex that sets only the strides is not modelled");
    if (!(rs1 >> 2 & 1)) fault_raise("unsupported_command", "the output-stationary dataflow is not modelled: use config_ex(WS, ...)");
    if (rs1 >> 8 & 3) fault_raise("unsupported_command", "transposed operands are not modelled");
    unsigned activation = rs1 >> 3 & 3, a_stride = rs1 >> 16 & 0xffff, c_stride = rs2 >> 48 & 0xffff;
    if (activation > RELU) fault_raise("unsupported_command", "activation %u of config_ex is not modelled", activation);
    if (!a_stride || !c_stride) fault_raise("limit_exceeded", "config_ex with a stride of 0 rows for %s", a_stride ? "C" : "A");
    g->execute_activation = activation;
    g->a_stride = a_stride;
    g->c_stride = c_stride;
    g->shift = rs2 & 0x1f;
    g->execute_set = 1;
}

static void config_load(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    unsigned id = rs1 >> 3 & 3, pixel_repeats = rs1 >> 8 & 0xff;
    if (id >= LOAD_IDS) fault_raise("limit_exceeded", "config_ld with id %u: the ids are 0, 1 and 2", id);
    if (pixel_repeats > 1) fault_raise("unsupported_command", "pixel repeats in config_ld are not modelled");
    g->load[id] = (LoadConfig){.set = 1, .shrunk = rs1 >> 2 & 1, .stride = rs2, .scale = float_of_bits((uint32_t)(rs1 >> 32)), .block_stride = rs1 >> 16 & 0xffff};
}

static void config_store(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    unsigned activation = rs1 >> 2 & 3;
    if (rs1 >> 4 & 3) fault_raise("unsupported_command", "pooling in config_st is not modelled");
    if (activation > RELU) fault_raise("unsupported_command", "activation %u of config_st is not modelled", activation);
    g->store_activation = activation;
    g->store_stride = rs2 & 0xffffffffu;
    g->store_scale = float_of_bits((uint32_t)(rs2 >> 32));
    g->store_set = 1;
}

static int configure(Gemmini *g, uint64_t rs1, uint64_t rs2, Op *op) {
    switch (rs1 & 3) {
    case 0: config_execute(g, rs1, rs2); *op = (Op){.unit = UNIT_EXECUTE, .kind = KIND_CONFIG_EX, .a_row = NO_ROW, .b_row = NO_ROW}; return COUNT_CONFIG_EX;
    case 1: config_load(g, rs1, rs2); *op = (Op){.unit = UNIT_LOAD, .kind = KIND_CONFIG}; return COUNT_CONFIG_LD;
    case 2: config_store(g, rs1, rs2); *op = (Op){.unit = UNIT_STORE, .kind = KIND_CONFIG}; return COUNT_CONFIG_ST;
    default: fault_raise("unsupported_command", "config_norm is not modelled");
    }
}

// --- the interface

uint64_t gemmini_command(Gemmini *g, uint64_t cycle, uint64_t pc, unsigned funct, uint64_t rs1, uint64_t rs2, uint64_t *rd) {
    Op op;
    int count;
    *rd = 0;
    switch (funct) {
    case FUNCT_CONFIG: count = configure(g, rs1, rs2, &op); break;
    case FUNCT_MVIN: mvin(g, 0, rs1, operand(rs2), &op); count = COUNT_MVIN; break;
    case FUNCT_MVIN2: mvin(g, 1, rs1, operand(rs2), &op); count = COUNT_MVIN; break;
    case FUNCT_MVIN3: mvin(g, 2, rs1, operand(rs2), &op); count = COUNT_MVIN; break;
    case FUNCT_MVOUT: mvout(g, rs1, operand(rs2), &op); count = COUNT_MVOUT; break;
    case FUNCT_PRELOAD: preload(g, operand(rs1), operand(rs2), &op); count = COUNT_PRELOAD; break;
    case FUNCT_COMPUTE_PRELOADED: compute(g, 0, operand(rs1), operand(rs2), &op); count = COUNT_COMPUTE; break;
    case FUNCT_COMPUTE_ACCUMULATED: compute(g, 1, operand(rs1), operand(rs2), &op); count = COUNT_COMPUTE; break;
    case FUNCT_FLUSH: g->commands++; g->kinds[COUNT_FLUSH]++; return cycle + 1;
    default: fault_raise("unsupported_command", "Gemmini command with funct %u is not modelled", funct);
    }
    g->commands++;
    g->kinds[count]++;
    op.pc = pc;
    return g->timed ? timing_command(g->timing, cycle, &op) : cycle + 1;
}

uint64_t gemmini_fence(Gemmini *g, uint64_t cycle) { return g->timed ? timing_fence(g->timing, cycle) : cycle; }

uint64_t gemmini_command_count(const Gemmini *g) { return g->commands; }

void gemmini_mark(Gemmini *g, uint64_t cycle) {
    memset(g->kinds, 0, sizeof g->kinds);
    l2_mark(g->l2);
    timing_mark(g->timing, cycle);
}

void gemmini_counters(const Gemmini *g, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx) {
    for (size_t i = 0; i < sizeof COUNT_NAMES / sizeof *COUNT_NAMES; i++) emit(ctx, COUNT_NAMES[i], (int64_t)g->kinds[i]);
    emit(ctx, "zero_fill_rows", (int64_t)g->zero_fill_rows);
    if (!g->timed) return;
    timing_counters(g->timing, emit, ctx);
    emit(ctx, "l2_hits", (int64_t)l2_hits(g->l2));
    emit(ctx, "l2_misses", (int64_t)l2_misses(g->l2));
}

void gemmini_profile_start(Gemmini *g) { timing_record(g->timing, 1); }

void gemmini_profile_write(Gemmini *g, FILE *fields, FILE *timeline) {
    fprintf(fields, "\"commands\":{");
    for (size_t i = 0; i < sizeof COUNT_NAMES / sizeof *COUNT_NAMES; i++)
        fprintf(fields, "%s\"%s\":%" PRIu64, i ? "," : "", COUNT_NAMES[i], g->kinds[i]);
    fprintf(fields, "},\"spad_rows_used\":%u,\"acc_rows_used\":%u", g->spad_high, g->acc_high);
    if (timeline) timing_write_timeline(g->timing, timeline);
    timing_record(g->timing, 0);
}

static void describe_local(char *text, size_t n, Operand o) {
    if (o.local == GARBAGE) snprintf(text, n, "NONE");
    else snprintf(text, n, "%s%s 0x%x %ux%u", o.local & ACC_BIT ? "acc" : "spad", o.local & ACC_BIT && o.local & ACCUMULATE_BIT ? "+" : "", o.local & ROW_MASK, o.rows, o.cols);
}

void gemmini_describe(unsigned funct, uint64_t rs1, uint64_t rs2, char *text, size_t n) {
    static const char *const NAMES[] = {"config", "mvin2", "mvin", "mvout", "compute_preloaded", "compute_accumulated", "preload", "flush"};
    const char *name = funct < 8 ? NAMES[funct] : funct == FUNCT_MVIN3 ? "mvin3" : NULL;
    char first[64], second[64];
    describe_local(second, sizeof second, operand(rs2));
    describe_local(first, sizeof first, operand(rs1));
    if (!name) snprintf(text, n, "custom-3 funct=%u rs1=0x%" PRIx64 " rs2=0x%" PRIx64, funct, rs1, rs2);
    else if (funct == FUNCT_CONFIG) {
        static const char *const CONFIGS[] = {"config_ex", "config_ld", "config_st", "config_norm"};
        snprintf(text, n, "%s rs1=0x%" PRIx64 " rs2=0x%" PRIx64, CONFIGS[rs1 & 3], rs1, rs2);
    } else if (funct == FUNCT_MVIN || funct == FUNCT_MVIN2 || funct == FUNCT_MVIN3 || funct == FUNCT_MVOUT)
        snprintf(text, n, "%s dram=0x%" PRIx64 " local=%s (rows x columns)", name, rs1, second);
    else if (funct == FUNCT_FLUSH) snprintf(text, n, "flush");
    else snprintf(text, n, "%s %s, %s (rows x columns)", name, first, second);
}
