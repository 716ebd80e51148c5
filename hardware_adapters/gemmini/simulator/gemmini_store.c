#include "gemmini_arithmetic.h"
#include "gemmini_state.h"

// mvout: scratchpad or accumulator to DRAM, with scale, activation, pooling and the statistics of normalisation.

typedef struct Source { // what an mvout reads, and how it leaves
    int acc, full;
    unsigned command;   // of normalisation
    unsigned element;   // bytes in DRAM
    uint32_t row;
} Source;

static unsigned activation_of(const Gemmini *g, const Source *s) { return s->acc && !s->full ? g->store.activation : ACTIVATION_NONE; }

static void scale_row(const int32_t *v, unsigned n, float scale, int relu, int8_t *out) {
    int32_t least = relu ? 0 : INT32_MIN; // ReLU comes before the scale: it matters when that is negative
    if (scale == 1.0f)
        for (unsigned c = 0; c < n; c++) out[c] = saturate_int8(v[c] > least ? v[c] : least);
    else
        for (unsigned c = 0; c < n; c++) out[c] = scale_to_int8(v[c] > least ? v[c] : least, scale);
}

static void output_int8(const Gemmini *g, unsigned activation, const int32_t *v, unsigned n, int8_t *out) {
    float scale = g->store.scale;
    if (activation <= ACTIVATION_RELU) {
        scale_row(v, n, scale, activation == ACTIVATION_RELU, out);
        return;
    }
    for (unsigned c = 0; c < n; c++) {
        int32_t x = activation == ACTIVATION_IGELU ? igelu(g, v[c]) : activation == ACTIVATION_LAYERNORM ? layernorm(g, v[c]) : softmax(g, v[c]);
        out[c] = scale_to_int8(x, scale);
    }
}

static void output_float(const Gemmini *g, unsigned activation, const float *v, unsigned n, uint8_t *out) {
    float value[MAX_DIM];
    for (unsigned c = 0; c < n; c++) value[c] = (activation == ACTIVATION_RELU && v[c] <= 0.0f ? 0.0f : v[c]) * g->store.scale;
    memcpy(out, value, n * sizeof *value);
}

// The first n values of one local row, as they appear in DRAM.
static void output_row(const Gemmini *g, const Source *s, uint32_t row, unsigned n, uint8_t *out) {
    need_row(g, s->acc, row, "mvout");
    if (!s->acc) memcpy(out, spad_row(g, row), n * s->element);
    else if (s->full) memcpy(out, acc_int32(g, row), n * ACC_BYTES);
    else if (g->floating) output_float(g, activation_of(g, s), acc_float(g, row), n, out);
    else output_int8(g, activation_of(g, s), acc_int32(g, row), n, (int8_t *)out);
}

static Source check_store(const Gemmini *g, Operand o) {
    const StoreConfig *store = &g->store;
    if (!store->set) fault_raise("unset_configuration", "mvout before a config_st");
    if (o.local == GARBAGE) fault_raise("bad_local_address", "mvout needs a local address, not NONE");
    Source s = {.acc = in_accumulator(o.local), .row = o.local & ROW_MASK};
    s.full = s.acc && (o.local & FULL_BIT);
    s.command = s.acc ? (o.local & NORM_BITS) >> NORM_SHIFT : 0;
    s.element = s.full ? ACC_BYTES : g->element_bytes;
    int pooling = store->pool.stride > 0;
    if (s.full && (s.command || pooling || store->activation > ACTIVATION_RELU))
        fault_raise("unsupported_command", "mvout of full-width values (bit 29) with %s: they leave the accumulator as they are",
                    s.command ? "a normalisation command" : pooling ? "pooling" : "a normalising activation");
    if (s.acc && !s.full && !s.command && !store->scale_set)
        fault_raise("unset_configuration", "mvout from the accumulator, but every config_st so far left the scale as it was");
    if (g->floating && (s.command || activation_of(g, &s) > ACTIVATION_RELU))
        fault_raise("unsupported_command", "mvout with %s: this configuration's float32 elements have none", s.command ? "a normalisation command" : "a normalising activation");
    if (!s.command) check_activation(g, activation_of(g, &s));
    return s;
}

// --- pooling

// Maximum over one window of output values; what lies outside of the image counts as 0.
static void pool_window(const Gemmini *g, const Source *s, int top, int left, unsigned cols, uint8_t *out) {
    const Pooling *p = &g->store.pool;
    uint8_t row[MAX_DIM * ACC_BYTES];
    for (unsigned w = 0; w < p->size * p->size; w++) {
        int orow = top + (int)(w / p->size), ocol = left + (int)(w % p->size);
        int inside = orow >= 0 && ocol >= 0 && orow < (int)p->orows && ocol < (int)p->ocols;
        if (inside) output_row(g, s, s->row + (unsigned)orow * p->ocols + (unsigned)ocol, cols, row);
        else memset(row, 0, cols * s->element);
        for (unsigned c = 0; c < cols; c++) {
            uint8_t *best = out + c * s->element, *value = row + c * s->element;
            float a = 0, b = 0;
            if (g->floating) memcpy(&a, best, sizeof a), memcpy(&b, value, sizeof b);
            else a = (int8_t)*best, b = (int8_t)*value;
            if (w == 0 || b > a) memcpy(best, value, s->element);
        }
    }
}

static void mvout_pooled(Gemmini *g, uint64_t dram, Operand o, const Source *s, Op *op) {
    const StoreConfig *store = &g->store;
    const Pooling *p = &store->pool;
    if (o.cols == 0 || o.cols > g->dim) fault_raise("limit_exceeded", "mvout with pooling of %u columns: 1 to %u", o.cols, g->dim);
    if (p->size == 0) fault_raise("limit_exceeded", "mvout with a pool_stride of %u and a pool_size of 0", p->stride);
    if (s->command) fault_raise("unsupported_command", "mvout with pooling and normalisation command %u", s->command);
    if (activation_of(g, s) > ACTIVATION_RELU) fault_raise("unsupported_command", "mvout with pooling and a normalising activation: none or ReLU only");
    Range reads = {0, 0};
    unsigned image = p->orows * p->ocols;
    if (image) reads = local_range(g, o.local, image, "mvout with pooling");
    for (unsigned porow = 0; porow < p->porows; porow++)
        for (unsigned pocol = 0; pocol < p->pocols; pocol++) {
            uint64_t address = dram + (porow * p->out_dim + pocol) * store->stride;
            uint8_t *out = memory_at(g->memory, address, (uint64_t)o.cols * s->element, MEM_W, "mvout");
            memory_count_dma(g->memory, address, (uint64_t)o.cols * s->element, 1);
            memory_stored(g->memory, address, (uint64_t)o.cols * s->element);
            pool_window(g, s, (int)(porow * p->stride) - (int)p->upad, (int)(pocol * p->stride) - (int)p->lpad, o.cols, out);
        }
    unsigned outputs = p->porows * p->pocols;
    g->work += outputs * p->size;
    if (!outputs) *op = (Op){.unit = UNIT_STORE, .kind = KIND_CONFIG};
    else
        *op = (Op){.unit = UNIT_STORE, .kind = KIND_MVOUT, .pool_size = (uint8_t)p->size, .rows = (uint16_t)outputs, .cols = (uint16_t)o.cols, .blocks = 1,
                   .block_stride = g->dim, .dram = dram, .dram_stride = store->stride, .row_bytes = o.cols * s->element, .reads = {reads}};
}

// --- plain stores and statistics

static void count_statistics(Gemmini *g, const Source *s, unsigned rows, unsigned cols) {
    unsigned dim = g->dim, blocks = (cols + dim - 1) / dim;
    for (unsigned r = 0; r < rows; r++)
        for (unsigned b = 0; b < blocks; b++) {
            uint32_t row = s->row + b * dim + r;
            need_row(g, 1, row, "mvout");
            follow_statistics(g, s->command, acc_int32(g, row), cols - b * dim < dim ? cols - b * dim : dim, b == blocks - 1);
        }
}

static void store_rows(Gemmini *g, const Source *s, uint64_t dram, Operand o) {
    unsigned dim = g->dim;
    for (unsigned r = 0; r < o.rows; r++) {
        uint64_t address = dram + r * g->store.stride;
        uint8_t *out = memory_at(g->memory, address, (uint64_t)o.cols * s->element, MEM_W, "mvout");
        memory_count_dma(g->memory, address, (uint64_t)o.cols * s->element, 1);
        memory_stored(g->memory, address, (uint64_t)o.cols * s->element);
        for (unsigned c = 0; c < o.cols; c += dim)
            output_row(g, s, s->row + c + r, o.cols - c < dim ? o.cols - c : dim, out + c * s->element);
    }
}

void gemmini_mvout(Gemmini *g, uint64_t dram, Operand o, Op *op) {
    Source s = check_store(g, o);
    if (g->store.pool.stride) {
        mvout_pooled(g, dram, o, &s, op);
        return;
    }
    check_size(g, o, s.full ? g->dim : g->max_cols, s.full ? "mvout of full-width values" : "mvout");
    unsigned blocks = (o.cols + g->dim - 1) / g->dim;
    Range local = local_range(g, o.local, (blocks - 1) * g->dim + o.rows, "mvout");
    if (s.command) count_statistics(g, &s, o.rows, o.cols);
    else store_rows(g, &s, dram, o);
    if (s.acc && !s.command && !g->floating) follow_statistics(g, 0, NULL, 0, 1); // a store ends the sums of its stat id
    *op = (Op){.unit = UNIT_STORE, .kind = KIND_MVOUT, .full_width = s.element == ACC_BYTES, .norm_command = (uint8_t)s.command,
               .activation = (uint8_t)activation_of(g, &s), .rows = (uint16_t)o.rows, .cols = (uint16_t)o.cols, .blocks = (uint16_t)blocks,
               .block_stride = g->dim, .dram = dram, .dram_stride = g->store.stride, .row_bytes = o.cols * s.element, .reads = {local}};
}
