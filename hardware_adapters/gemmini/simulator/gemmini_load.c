#include "gemmini_arithmetic.h"
#include "gemmini_state.h"

// mvin, mvin2, mvin3: DRAM to scratchpad or accumulator.

typedef struct Load {
    const LoadConfig *config;
    int acc, accumulate;
    const char *name;
} Load;

// data NULL: zeros.
static void write_spad(Gemmini *g, const Load *load, uint32_t row, const uint8_t *data, unsigned cols) {
    float scale = load->config->scale;
    if (!data) memset(spad_row(g, row), 0, cols * g->element_bytes);
    else if (scale == 1.0f) memcpy(spad_row(g, row), data, cols * g->element_bytes);
    else if (!g->floating)
        for (unsigned c = 0; c < cols; c++) spad_int8(g, row)[c] = scale_to_int8((int8_t)data[c], scale);
    else {
        float value[MAX_DIM];
        memcpy(value, data, cols * sizeof *value);
        for (unsigned c = 0; c < cols; c++) spad_float(g, row)[c] = value[c] * scale;
    }
    g->spad_set[row] = 1;
}

static void write_acc_float(Gemmini *g, const Load *load, uint32_t row, const uint8_t *data, unsigned cols) {
    float value[MAX_DIM] = {0}, *to = acc_float(g, row);
    if (data) memcpy(value, data, cols * sizeof *value);
    for (unsigned c = 0; c < cols; c++) {
        if (data) value[c] *= load->config->scale;
        to[c] = load->accumulate ? to[c] + value[c] : value[c];
    }
}

static void write_acc_int32(Gemmini *g, const Load *load, uint32_t row, const uint8_t *data, unsigned cols) {
    int32_t value[MAX_DIM] = {0}, *to = acc_int32(g, row);
    float scale = load->config->scale;
    if (data && !load->config->shrunk) memcpy(value, data, cols * sizeof *value);
    else if (data)
        for (unsigned c = 0; c < cols; c++) value[c] = scale == 1.0f ? (int8_t)data[c] : scale_to_int8((int8_t)data[c], scale);
    if (!load->accumulate) memcpy(to, value, cols * sizeof *value);
    else
        for (unsigned c = 0; c < cols; c++) to[c] = wrap_add(to[c], value[c]);
}

static __attribute__((noinline)) void write_row(Gemmini *g, const Load *load, uint32_t row, const uint8_t *data, unsigned cols) {
    if (!load->acc) {
        write_spad(g, load, row, data, cols);
        return;
    }
    if (load->accumulate) need_row(g, 1, row, "an accumulating mvin");
    if (g->floating) write_acc_float(g, load, row, data, cols);
    else write_acc_int32(g, load, row, data, cols);
    g->acc_set[row] = 1;
}

// The first layer's trick: each pixel also lands in the rows above, so that one row holds neighbouring pixels. No copy
// leaves the memory, nor the upper half of it: the halves belong to different loops.
static void repeat_pixels(Gemmini *g, const Load *load, uint32_t row, unsigned cols) {
    uint32_t half = g->config->spad_rows / 2, floor = row >= half ? half : 0;
    unsigned bytes = cols * g->element_bytes;
    for (unsigned i = 1; i < load->config->pixel_repeats && row >= floor + i; i++) {
        memcpy((uint8_t *)spad_row(g, row - i) + i * bytes, spad_row(g, row), bytes);
        g->spad_set[row - i] = 1;
    }
}

enum { USUAL_ROW_BYTES = 16 }; // a copy of constant size is one instruction

static const uint64_t MAX_PLAIN_STRIDE = UINT32_MAX; // so that no sum wraps around

// A load that is nothing but a copy, which most are: rows `stride` bytes apart.
static void copy_rows(Gemmini *g, const Load *load, uint32_t row, unsigned rows, const uint8_t *data, uint64_t stride, unsigned bytes) {
    unsigned row_bytes = g->dim * g->element_bytes;
    for (; bytes; row += load->config->block_stride) {
        unsigned part = bytes < row_bytes ? bytes : row_bytes;
        uint8_t *to = spad_row(g, row);
        if (part == USUAL_ROW_BYTES && row_bytes == USUAL_ROW_BYTES)
            for (unsigned r = 0; r < rows; r++) memcpy(to + r * USUAL_ROW_BYTES, data + r * stride, USUAL_ROW_BYTES);
        else
            for (unsigned r = 0; r < rows; r++) memcpy(to + r * row_bytes, data + r * stride, part);
        memset(g->spad_set + row, 1, rows);
        data += part;
        bytes -= part;
    }
}

static void check_load(const Gemmini *g, const Load *load, unsigned id, Operand o) {
    const LoadConfig *config = load->config;
    if (!config->set) fault_raise("unset_configuration", "%s before a config_ld with id %u", load->name, id);
    check_size(g, o, g->max_cols, load->name);
    check_norm_bits(o.local, load->name);
    if (config->block_stride < o.rows)
        fault_raise("limit_exceeded", "%s of %u rows with a block stride of %u rows: the block stride must not be smaller than the rows", load->name, o.rows,
                    config->block_stride);
    if (config->pixel_repeats == 1) return;
    if (load->acc) fault_raise("bad_local_address", "%s into the accumulator with %u pixel repeats: only the scratchpad repeats pixels", load->name, config->pixel_repeats);
    if (config->pixel_repeats * o.cols > g->dim)
        fault_raise("limit_exceeded", "%s of %u columns with %u pixel repeats: together at most %u", load->name, o.cols, config->pixel_repeats, g->dim);
}

void gemmini_mvin(Gemmini *g, unsigned id, uint64_t dram, Operand o, Op *op) {
    static const char *const NAMES[] = {"mvin", "mvin2", "mvin3"};
    const LoadConfig *config = &g->load[id];
    Load load = {config, in_accumulator(o.local), in_accumulator(o.local) && (o.local & ACCUMULATE_BIT), NAMES[id]};
    check_load(g, &load, id, o);
    unsigned dim = g->dim, blocks = (o.cols + dim - 1) / dim, repeats = config->pixel_repeats;
    Range local = local_range(g, o.local, (blocks - 1) * config->block_stride + o.rows, load.name);
    unsigned element = load.acc && !config->shrunk ? ACC_BYTES : g->element_bytes;
    if (dram) memory_count_dma(g->memory, dram, (uint64_t)o.rows * o.cols * element, 0);
    uint64_t row_bytes = (uint64_t)o.cols * element, all_bytes = (o.rows - 1) * config->stride + row_bytes;
    for (unsigned r = 0; dram && memory_unfenced(g->memory) && r < o.rows; r++) memory_ordered(g->memory, dram + r * config->stride, row_bytes, load.name);
    int plain = dram && !load.acc && config->scale == 1.0f && repeats == 1;
    const uint8_t *all = plain && config->stride <= MAX_PLAIN_STRIDE ? memory_try(g->memory, dram, all_bytes, MEM_R) : NULL;
    if (all) copy_rows(g, &load, o.local & ROW_MASK, o.rows, all, config->stride, (unsigned)row_bytes);
    else
        for (unsigned r = 0; r < o.rows; r++) {
            const uint8_t *data = dram ? memory_at(g->memory, dram + r * config->stride, row_bytes, MEM_R, load.name) : NULL;
            for (unsigned b = 0; b < blocks; b++) {
                unsigned cols = o.cols - b * dim < dim ? o.cols - b * dim : dim;
                uint32_t row = (o.local & ROW_MASK) + b * config->block_stride + r;
                write_row(g, &load, row, data ? data + b * dim * element : NULL, cols);
                if (repeats > 1) repeat_pixels(g, &load, row, cols);
            }
        }
    use_rows(g, local);
    if (load.acc && !dram) g->zero_fill_rows += (uint64_t)o.rows * blocks;
    if (repeats > 1) local.first -= local.first < repeats - 1 ? local.first : repeats - 1;
    *op = (Op){.unit = UNIT_LOAD, .kind = KIND_MVIN, .zero_fill = dram == 0, .accumulate = (uint8_t)load.accumulate, .full_width = element == ACC_BYTES,
               .repeated = config->stride == 0, .scaled = config->scale != 1.0f, .pixel_repeats = (uint8_t)repeats, .rows = (uint16_t)o.rows, .cols = (uint16_t)o.cols, .blocks = (uint16_t)blocks,
               .block_stride = config->block_stride, .dram = dram, .dram_stride = config->stride, .row_bytes = o.cols * element, .writes = local};
}
