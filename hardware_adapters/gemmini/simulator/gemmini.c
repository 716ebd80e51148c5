#include "gemmini.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gemmini_state.h"

// Gemmini's commands take effect bit-exactly and in program order. What a row holds is tracked, so that reading what was
// never written is the kernel's error, as it would be on hardware. docs/gemmini_semantics.md says what each command does.

static const char *const COUNT_NAMES[COUNTS] = {"config_ex", "config_ld", "config_st", "config_norm", "mvin", "mvout", "preload", "compute",
                                                "flush", "loop_ws", "loop_conv_ws", "loop_config", "counter"};

Gemmini *gemmini_new(const Config *config, Memory *memory, L2 *l2) {
    Gemmini *g = calloc(1, sizeof *g);
    if (!g || config->dim > MAX_DIM) return NULL;
    g->config = config;
    g->memory = memory;
    g->l2 = l2;
    g->timing = timing_new(config, l2);
    g->floating = config->element == ELEMENT_FLOAT32;
    g->dim = config->dim;
    g->element_bytes = g->floating ? sizeof(float) : sizeof(int8_t);
    unsigned row_bytes = g->dim * g->element_bytes;
    g->max_cols = g->dim * (row_bytes < WIDE_MOVE_BYTES ? WIDE_MOVE_BYTES / row_bytes : 1);
    g->spad = calloc(config->spad_rows, row_bytes);
    g->acc = calloc(config->acc_rows, (size_t)g->dim * ACC_BYTES);
    g->spad_set = calloc(config->spad_rows, 1);
    g->acc_set = calloc(config->acc_rows, 1);
    return g->timing && g->spad && g->acc && g->spad_set && g->acc_set ? g : NULL;
}

void gemmini_reset(Gemmini *g, int timed) {
    const Config *c = g->config;
    Gemmini fresh = {.config = c, .memory = g->memory, .l2 = g->l2, .timing = g->timing, .timed = timed, .floating = g->floating, .dim = g->dim,
                     .element_bytes = g->element_bytes, .max_cols = g->max_cols, .spad = g->spad, .acc = g->acc, .spad_set = g->spad_set,
                     .acc_set = g->acc_set, .trace = {.op = g->trace.op, .capacity = g->trace.capacity}};
    *g = fresh;
    memset(g->spad, 0, (size_t)c->spad_rows * g->dim * g->element_bytes);
    memset(g->acc, 0, (size_t)c->acc_rows * g->dim * ACC_BYTES);
    memset(g->spad_set, 0, c->spad_rows);
    memset(g->acc_set, 0, c->acc_rows);
    timing_reset(g->timing);
}

void gemmini_zero_fill(Gemmini *g) {
    memset(g->spad_set, 1, g->config->spad_rows);
    memset(g->acc_set, 1, g->config->acc_rows);
}

// --- commands

static int config_count(uint64_t rs1) {
    static const int COUNT[] = {COUNT_CONFIG_EX, COUNT_CONFIG_LD, COUNT_CONFIG_ST, COUNT_CONFIG_NORM};
    return COUNT[rs1 & 3];
}

void gemmini_execute(Gemmini *g, unsigned funct, uint64_t rs1, uint64_t rs2, Op *op) {
    int count;
    switch (funct) {
    case FUNCT_CONFIG: gemmini_configure(g, rs1, rs2, op); count = config_count(rs1); break;
    case FUNCT_MVIN: gemmini_mvin(g, 0, rs1, operand_of(rs2), op); count = COUNT_MVIN; break;
    case FUNCT_MVIN2: gemmini_mvin(g, 1, rs1, operand_of(rs2), op); count = COUNT_MVIN; break;
    case FUNCT_MVIN3: gemmini_mvin(g, 2, rs1, operand_of(rs2), op); count = COUNT_MVIN; break;
    case FUNCT_MVOUT: gemmini_mvout(g, rs1, operand_of(rs2), op); count = COUNT_MVOUT; break;
    case FUNCT_PRELOAD: gemmini_preload(g, operand_of(rs1), operand_of(rs2), op); count = COUNT_PRELOAD; break;
    case FUNCT_COMPUTE_PRELOADED: gemmini_compute(g, 0, operand_of(rs1), operand_of(rs2), op); count = COUNT_COMPUTE; break;
    case FUNCT_COMPUTE_ACCUMULATED: gemmini_compute(g, 1, operand_of(rs1), operand_of(rs2), op); count = COUNT_COMPUTE; break;
    default: fault_raise("unsupported_command", "there is no Gemmini command with funct %u", funct);
    }
    g->kinds[count]++;
}

// Expands at once; the unroller's pace is the timing's business.
static uint64_t run_loop(Gemmini *g, uint64_t cycle, uint64_t pc, unsigned funct, uint64_t rs1, uint64_t rs2) {
    if (funct == FUNCT_LOOP_WS) loop_matmul(g, rs1, rs2);
    else loop_conv(g, rs1, rs2);
    g->kinds[funct == FUNCT_LOOP_WS ? COUNT_LOOP_WS : COUNT_LOOP_CONV]++;
    for (size_t i = 0; i < g->trace.count; i++) counter_note(g, cycle, &g->trace.op[i].op);
    if (!g->timed) return cycle + 1;
    for (size_t i = 0; i < g->trace.count; i++) g->trace.op[i].op.pc = pc;
    uint64_t next = timing_loop(g->timing, cycle, g->trace.op, g->trace.count);
    if (!next) fault_raise("host_error", "out of memory for a hardware loop of %zu commands", g->trace.count);
    return next;
}

static int is_loop_configuration(unsigned funct) {
    return (funct >= FUNCT_LOOP_WS_FIRST && funct <= FUNCT_LOOP_WS_LAST) || (funct >= FUNCT_LOOP_CONV_FIRST && funct <= FUNCT_LOOP_CONV_LAST);
}

uint64_t gemmini_command(Gemmini *g, uint64_t cycle, uint64_t pc, unsigned funct, uint64_t rs1, uint64_t rs2, uint64_t *rd) {
    *rd = 0;
    g->commands++;
    if (funct == FUNCT_FLUSH) {
        g->kinds[COUNT_FLUSH]++;
        return cycle + 1;
    }
    if (funct == FUNCT_COUNTER) {
        *rd = counter_access(g, cycle, rs1);
        g->kinds[COUNT_COUNTER]++;
        return cycle + 1;
    }
    if (is_loop_configuration(funct)) {
        loop_configure(g, funct, rs1, rs2);
        g->kinds[COUNT_LOOP_CONFIG]++;
        return cycle + 1;
    }
    if (funct == FUNCT_LOOP_WS || funct == FUNCT_LOOP_CONV) return run_loop(g, cycle, pc, funct, rs1, rs2);
    Op op;
    gemmini_execute(g, funct, rs1, rs2, &op);
    op.pc = pc;
    counter_note(g, cycle, &op);
    return g->timed ? timing_command(g->timing, cycle, &op) : cycle + 1;
}

uint64_t gemmini_fence(Gemmini *g, uint64_t cycle) {
    memory_fence(g->memory);
    return g->timed ? timing_fence(g->timing, cycle) : cycle;
}

uint64_t gemmini_command_count(const Gemmini *g) { return g->commands; }

uint64_t gemmini_work(const Gemmini *g) { return g->work; }

// --- counters and profile

void gemmini_mark(Gemmini *g, uint64_t cycle) {
    memset(g->kinds, 0, sizeof g->kinds);
    l2_mark(g->l2);
    timing_mark(g->timing, cycle);
    counter_reset(g);
}

void gemmini_counters(const Gemmini *g, void (*emit)(void *ctx, const char *name, int64_t value), void *ctx) {
    for (size_t i = 0; i < COUNTS; i++) emit(ctx, COUNT_NAMES[i], (int64_t)g->kinds[i]);
    emit(ctx, "zero_fill_rows", (int64_t)g->zero_fill_rows);
    if (!g->timed) return;
    timing_counters(g->timing, emit, ctx);
    emit(ctx, "l2_hits", (int64_t)l2_hits(g->l2));
    emit(ctx, "l2_misses", (int64_t)l2_misses(g->l2));
}

void gemmini_profile_start(Gemmini *g) { timing_record(g->timing, 1); }

void gemmini_profile_write(Gemmini *g, uint64_t cycle, FILE *fields, FILE *timeline) {
    fprintf(fields, "\"commands\":{");
    for (size_t i = 0; i < COUNTS; i++) fprintf(fields, "%s\"%s\":%" PRIu64, i ? "," : "", COUNT_NAMES[i], g->kinds[i]);
    fprintf(fields, "},\"spad_rows_used\":%u,\"acc_rows_used\":%u", g->spad_high, g->acc_high);
    const Config *c = g->config;
    fprintf(fields, ",\"machine\":{\"spad_rows\":%u,\"acc_rows\":%u,\"macs_per_cycle\":%u,\"port_bytes_per_cycle\":%u,\"dram_bytes_per_cycle\":%.3f}",
            c->spad_rows, c->acc_rows, c->dim * c->dim, c->beat_bytes, c->line_bytes * 8.0 / c->dram_line_eighths);
    timing_record_end(g->timing, cycle);
    fprintf(fields, ",\"occupancy\":");
    timing_write_occupancy(g->timing, fields);
    fprintf(fields, ",\"activity\":");
    timing_write_activity(g->timing, fields);
    if (timeline) timing_write_timeline(g->timing, timeline);
    timing_record(g->timing, 0);
}
