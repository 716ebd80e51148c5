#include "conv_registers.h"

#include <inttypes.h>

#include "fault.h"

static int64_t bits(uint64_t word, unsigned low, unsigned count) { return (int64_t)(word >> low & ((UINT64_C(1) << count) - 1)); }

static void read_tensors(ConvRegisters *r, const LoopState *s) {
    r->batch_size = bits(s->rs1[0], 0, 16);
    r->in_row_dim = bits(s->rs1[0], 16, 16);
    r->in_channels = bits(s->rs1[0], 32, 16);
    r->out_channels = bits(s->rs1[0], 48, 16);
    r->out_row_dim = bits(s->rs2[0], 0, 16);
    r->pool_out_row_dim = bits(s->rs2[0], 16, 16);
    r->out_col_dim = bits(s->rs2[0], 32, 16);
    r->stride = bits(s->rs2[0], 48, 8);
    r->kernel_dim = bits(s->rs1[1], 48, 16);
    r->pool_out_col_dim = bits(s->rs1[1], 32, 16);
    r->pool_size = bits(s->rs1[1], 16, 16);
    r->pool_stride = bits(s->rs1[1], 8, 8);
    r->in_col_dim = bits(s->rs2[2], 0, 16);
    r->kernel_dilation = bits(s->rs1[3], 0, 8);
    r->in_stride = bits(s->rs2[3], 48, 16);
    r->weight_stride = bits(s->rs2[3], 32, 16);
    r->out_stride = bits(s->rs2[3], 16, 16);
    r->weights = s->rs1[4];
    r->output = s->rs2[4];
    r->bias = s->rs1[5];
    r->input = s->rs2[5];
}

static void read_part(ConvRegisters *r, const LoopState *s) {
    r->batches = bits(s->rs2[1], 48, 16);
    r->porows = bits(s->rs2[1], 32, 16);
    r->pocols = bits(s->rs2[1], 16, 16);
    r->ochs = bits(s->rs2[1], 0, 16);
    r->krows = bits(s->rs1[2], 48, 16);
    r->kcols = bits(s->rs1[2], 32, 16);
    r->ichs = bits(s->rs1[2], 16, 16);
    r->lpad = bits(s->rs1[2], 0, 16);
    r->rpad = bits(s->rs2[2], 48, 16);
    r->upad = bits(s->rs2[2], 32, 16);
    r->dpad = bits(s->rs2[2], 24, 8);
    r->plpad = bits(s->rs2[2], 16, 8);
    r->orows = bits(s->rs1[3], 48, 16);
    r->pupad = bits(s->rs1[3], 21, 8);
    r->ocols = bits(s->rs2[3], 0, 16);
}

static void read_run(ConvRegisters *r, uint64_t rs1, uint64_t rs2) {
    static const uint64_t KNOWN_RS1 = 0xfff7f, KNOWN_RS2 = 0x1f;
    if (rs1 & ~KNOWN_RS1 || rs2 & ~KNOWN_RS2)
        fault_raise("unsupported_command", "loop_conv_ws with unknown bits: rs1=0x%" PRIx64 ", rs2=0x%" PRIx64, rs1 & ~KNOWN_RS1, rs2 & ~KNOWN_RS2);
    r->no_bias = (int)bits(rs1, 0, 1);
    r->rotated = (int)bits(rs1, 1, 1);
    r->out_1203 = (int)bits(rs1, 2, 1);
    r->weight_1203 = (int)bits(rs1, 3, 1);
    r->weight_0132 = (int)bits(rs1, 4, 1);
    r->input_3120 = (int)bits(rs1, 5, 1);
    r->depthwise = (int)bits(rs1, 6, 1);
    r->pixels_per_row = bits(rs1, 8, 8) ? bits(rs1, 8, 8) : 1;
    r->b_spad = (unsigned)bits(rs1, 16, 2);
    r->a_spad = (unsigned)bits(rs1, 18, 2);
    r->no_pool = (int)bits(rs2, 0, 1);
    r->downsample = (int)bits(rs2, 1, 1);
    r->dilated = (int)bits(rs2, 2, 1);
    r->activation = bits(rs2, 3, 2);
}

typedef struct Named {
    const char *name;
    int64_t value, most;
} Named;

static void check_range(const Named *field, unsigned count, int64_t least) {
    for (; count; count--, field++)
        if (field->value < least || field->value > field->most)
            fault_raise("limit_exceeded", "loop_conv_ws with %s = %" PRId64 ": %" PRId64 " to %" PRId64, field->name, field->value, least, field->most);
}

#define FIELD(r, name, most) {#name, (r)->name, most}
#define CHECK(fields, least) check_range(fields, sizeof fields / sizeof *fields, least)

static void check_bounds(const ConvRegisters *r) {
    enum { ANY = 0xffff };
    const Named positive[] = {
        FIELD(r, batch_size, ANY), FIELD(r, in_row_dim, ANY), FIELD(r, in_col_dim, ANY), FIELD(r, in_channels, ANY), FIELD(r, out_channels, ANY),
        FIELD(r, out_row_dim, ANY), FIELD(r, out_col_dim, ANY), FIELD(r, stride, ANY), FIELD(r, kernel_dim, ANY), FIELD(r, kernel_dilation, ANY),
        FIELD(r, in_stride, ANY), FIELD(r, weight_stride, ANY), FIELD(r, out_stride, ANY), FIELD(r, batches, ANY), FIELD(r, krows, ANY),
        FIELD(r, kcols, ANY), FIELD(r, orows, ANY), FIELD(r, ocols, ANY), {"kchs", r->ichs, ANY}, {"pochs", r->ochs, ANY}};
    CHECK(positive, 1);
    if (r->no_pool) return;
    const Named pooled[] = {FIELD(r, pool_size, 3),  FIELD(r, pool_stride, 3), FIELD(r, pool_out_col_dim, 255), FIELD(r, pool_out_row_dim, ANY),
                            FIELD(r, porows, 255),   FIELD(r, pocols, 255),    FIELD(r, orows, 255),            FIELD(r, ocols, 255)};
    const Named padding[] = {FIELD(r, pupad, 3), FIELD(r, plpad, 3)};
    CHECK(pooled, 1);
    CHECK(padding, 0);
}

static void check_variants(const ConvRegisters *r, unsigned dim) {
    if (r->dilated && r->stride > 1) fault_raise("unsupported_command", "loop_conv_ws with input_dilated and a stride of %" PRId64 ": 1", r->stride);
    if (r->downsample && (r->krows != 1 || r->kcols != 1 || r->stride != 2 || r->upad || r->dpad || r->lpad || r->rpad))
        fault_raise("unsupported_command", "loop_conv_ws with downsample: only for a 1x1 kernel with a stride of 2 and no padding");
    if (r->activation > 1) fault_raise("unsupported_command", "loop_conv_ws with activation %" PRId64 ": 0 or 1 (ReLU)", r->activation);
    if (r->input_3120 && r->batches != r->batch_size)
        fault_raise("unsupported_command", "loop_conv_ws with trans_input_3120 and %" PRId64 " of %" PRId64 " batches: all of them", r->batches, r->batch_size);
    if (r->pixels_per_row > 1 && r->pixels_per_row * r->ichs > dim)
        fault_raise("limit_exceeded", "loop_conv_ws with max_pixels_per_row = %" PRId64 " and kchs = %" PRId64 ": their product is at most %u", r->pixels_per_row, r->ichs, dim);
}

ConvRegisters conv_registers(const LoopState *s, uint64_t rs1, uint64_t rs2, unsigned dim) {
    ConvRegisters r = {0};
    read_tensors(&r, s);
    read_part(&r, s);
    read_run(&r, rs1, rs2);
    check_bounds(&r);
    check_variants(&r, dim);
    return r;
}
