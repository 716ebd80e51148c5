#include "conv_registers.h"
#include "gemmini_state.h"

// loop_conv_ws: a part of a convolution. The commands are those that the hardware sends, in its order; `after` follows
// its unroller (LoopConv in the generator's source): products wait for all loads, stores for all products.

static const char NAME[] = "loop_conv_ws";

typedef struct Image { // one direction of the input: rows, or columns
    int64_t first, real, end; // pixels from `first` on lie in front of the image, from `real` on behind it, to `end`
    int64_t size;             // with padding
} Image;

typedef struct ConvLoop {
    Gemmini *g;
    ConvRegisters r;
    int64_t dim, wide; // wide: elements in one mvin
    uint64_t element;
    Image rows, cols;
    int64_t plane;                       // rows of the scratchpad that one channel block of an image takes: P of the document
    int64_t outputs;                     // accumulator rows of one image
    int64_t a_block, b_block;            // rows between blocks of columns
    int64_t a_row, b_row, c_row;         // first local rows
} ConvLoop;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static const int64_t TOO_MANY = INT64_MAX / 4; // rows; any further sum or product of counts stays above every limit

// Registers are up to 16 bits wide, and some counts are products of six of them.
static int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? TOO_MANY : least(product, TOO_MANY);
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t undilated(const ConvLoop *l, int64_t x) { return l->r.dilated ? (x + 1) / 2 : x; }
static int64_t sampled(const ConvLoop *l, int64_t x) { return x >> l->r.downsample; }

// --- geometry

static Image image(const ConvLoop *l, int64_t outs, int64_t kernel, int64_t before, int64_t after, const char *name) {
    const ConvRegisters *r = &l->r;
    int64_t reach = kernel + (r->kernel_dilation - 1) * (kernel - 1), full = outs * r->stride + reach - 1, inside = full - before - after;
    if (inside < 0) fault_raise("limit_exceeded", "loop_conv_ws needs %lld input %s, and has paddings of %lld and %lld", (long long)full, name, (long long)before, (long long)after);
    Image i = {.first = -undilated(l, before), .real = undilated(l, inside)};
    i.end = i.real + undilated(l, after);
    i.size = r->dilated ? i.end - i.first : full;
    return i;
}

static void place(ConvLoop *l) {
    Gemmini *g = l->g;
    const ConvRegisters *r = &l->r;
    int64_t half = g->config->spad_rows / 2, acc_half = g->config->acc_rows / 2;
    l->rows = image(l, r->orows, r->krows, r->upad, r->dpad, "rows");
    l->cols = image(l, r->ocols, r->kcols, r->lpad, r->rpad, "columns");
    l->plane = times(sampled(l, l->rows.size), sampled(l, l->cols.size));
    l->outputs = r->orows * r->ocols;
    l->a_block = times(l->plane, r->input_3120 ? r->ichs : r->batches);
    l->b_block = times(r->krows * r->kcols, r->weight_0132 ? r->ochs : r->ichs);
    int64_t a_rows = times(ceil_div(r->input_3120 ? r->batches : r->ichs, l->dim), l->a_block);
    int64_t b_rows = times(ceil_div(r->weight_0132 ? r->ichs : r->ochs, l->dim), l->b_block), c_rows = times(ceil_div(r->ochs, l->dim) * r->batches, l->outputs);
    if (a_rows + b_rows > half)
        fault_raise("limit_exceeded", "loop_conv_ws: the input takes %lld rows and the weights %lld, half of the scratchpad has %lld", (long long)a_rows, (long long)b_rows, (long long)half);
    if (c_rows > acc_half) fault_raise("limit_exceeded", "loop_conv_ws: the output takes %lld rows, half of the accumulator has %lld", (long long)c_rows, (long long)acc_half);
    l->a_row = loop_spad_half(g, &g->loop_conv, r->a_spad, NAME);
    l->b_row = loop_spad_half(g, &g->loop_conv, r->b_spad, NAME) + half - b_rows;
    l->c_row = loop_acc_half(g, &g->loop_conv);
}

// Local rows; pixels count from the padding's first.
static uint32_t a_address(const ConvLoop *l, int64_t b, int64_t ich, int64_t row, int64_t col) {
    int64_t block = l->r.input_3120 ? b / l->dim : ich / l->dim, inner = l->r.input_3120 ? ich : b;
    return (uint32_t)(l->a_row + block * l->a_block + inner * l->plane + sampled(l, row) * sampled(l, l->cols.size) + sampled(l, col));
}

static uint32_t b_address(const ConvLoop *l, int64_t och, int64_t krow, int64_t kcol, int64_t kch) {
    const ConvRegisters *r = &l->r;
    int64_t pixel = krow * r->kcols + kcol;
    if (r->weight_0132) return (uint32_t)(l->b_row + kch / l->dim * l->b_block + pixel * r->ochs + och);
    return (uint32_t)(l->b_row + och / l->dim * l->b_block + pixel * r->ichs + kch);
}

static uint32_t c_address(const ConvLoop *l, int64_t b, int64_t och, int64_t orow, int64_t ocol) {
    return ACC_BIT | (uint32_t)(l->c_row + och / l->dim * l->r.batches * l->outputs + b * l->outputs + orow * l->r.ocols + ocol);
}

// --- loads

static void send_config_load(ConvLoop *l, unsigned stream, unsigned id, uint64_t stride, int64_t block_stride, int64_t pixel_repeats) {
    static const uint64_t IDENTITY = UINT64_C(0x3f800000) << 32; // a scale of 1
    loop_send(l->g, stream, NULL, FUNCT_CONFIG, IDENTITY | (uint64_t)block_stride << 16 | (uint64_t)pixel_repeats << 8 | id << 3 | 1, stride);
}

static void load_bias(ConvLoop *l) {
    const ConvRegisters *r = &l->r;
    int64_t row_bytes = l->dim * ACC_BYTES, step = l->dim * (row_bytes < WIDE_MOVE_BYTES ? WIDE_MOVE_BYTES / row_bytes : 1);
    send_config_load(l, STREAM_D, 2, 0, r->batches * l->outputs, 1);
    for (int64_t b = 0; b < r->batches; b++)
        for (int64_t orow = 0; orow < r->orows; orow++)
            for (int64_t ocol = 0; ocol < r->ocols; ocol += l->dim)
                for (int64_t och = 0; och < r->ochs; och += step)
                    loop_send(l->g, STREAM_D, NULL, FUNCT_MVIN3, r->no_bias ? 0 : r->bias + (uint64_t)och * ACC_BYTES,
                              operand_word(c_address(l, b, och, orow, ocol), (unsigned)least(r->ochs - och, step), (unsigned)least(r->ocols - ocol, l->dim)));
}

// Pixels that one mvin takes from `col` on: none cross an edge of the image.
static int64_t run_length(const ConvLoop *l, int64_t col) {
    if (col < 0) return least(-col, l->dim);
    if (col >= l->cols.real) return least(l->cols.end - col, l->dim);
    return least(l->cols.real - col, l->dim << l->r.downsample);
}

// Channels (or, transposed, batches) of a run of pixels.
static void load_run(ConvLoop *l, int64_t b, int64_t row, int64_t col, int64_t run) {
    const ConvRegisters *r = &l->r;
    int zeros = row < 0 || row >= l->rows.real || col < 0 || col >= l->cols.real;
    int64_t step = r->input_3120 ? 1 : least(r->ichs, l->wide);
    for (int64_t ich = 0; ich < r->ichs; ich += step) {
        int64_t pixel = r->input_3120 ? ((ich * r->in_row_dim + row) * r->in_col_dim + col) * r->batch_size + b
                                      : ((b * r->in_row_dim + row) * r->in_col_dim + col) * r->in_stride + ich;
        int64_t columns = r->input_3120 ? least(r->batches - b, l->wide) : least(r->ichs - ich, step);
        loop_send(l->g, STREAM_A, NULL, FUNCT_MVIN, zeros ? 0 : r->input + (uint64_t)pixel * l->element,
                  operand_word(a_address(l, b, ich, row - l->rows.first, col - l->cols.first), (unsigned)columns, (unsigned)sampled(l, run)));
    }
}

static void load_input(ConvLoop *l) {
    const ConvRegisters *r = &l->r;
    uint64_t stride = (uint64_t)(r->input_3120 ? r->batch_size : r->in_stride) * l->element;
    send_config_load(l, STREAM_A, 0, stride << r->downsample, l->a_block, r->pixels_per_row);
    for (int64_t b = 0; b < r->batches; b += r->input_3120 ? least(r->batches, l->wide) : 1)
        for (int64_t row = l->rows.first; row < l->rows.end; row += 1 << r->downsample)
            for (int64_t col = l->cols.first, run; col < l->cols.end; col += run) {
                run = run_length(l, col);
                load_run(l, b, row, col, run);
            }
}

// In elements; unsigned, since addresses wrap around.
static uint64_t weight_offset(const ConvRegisters *r, uint64_t och, uint64_t krow, uint64_t kcol, uint64_t kch) {
    uint64_t pixel = krow * (uint64_t)r->kernel_dim + kcol;
    if (r->depthwise) return pixel;
    if (r->weight_1203) return (kch * (uint64_t)(r->kernel_dim * r->kernel_dim) + pixel) * (uint64_t)r->out_channels + och;
    if (r->weight_0132) return (pixel * (uint64_t)r->out_channels + och) * (uint64_t)r->in_channels + kch;
    return (pixel * (uint64_t)r->in_channels + kch) * (uint64_t)r->weight_stride + och;
}

static void load_weights(ConvLoop *l) {
    const ConvRegisters *r = &l->r;
    int64_t stride = r->depthwise ? 1 : r->weight_1203 ? r->kernel_dim * r->kernel_dim * r->out_channels : r->weight_0132 ? r->in_channels : r->weight_stride;
    int64_t och_step = r->weight_0132 ? l->dim : least(r->ochs, l->wide), kch_step = r->weight_0132 ? least(r->ichs, l->wide) : l->dim;
    send_config_load(l, STREAM_B, 1, (uint64_t)stride * l->element, l->b_block, 1);
    for (int64_t och = 0; och < r->ochs; och += och_step)
        for (int64_t krow = 0; krow < r->krows; krow++)
            for (int64_t kcol = 0; kcol < r->kcols; kcol++)
                for (int64_t kch = 0; kch < r->ichs; kch += kch_step) {
                    unsigned ochs = (unsigned)least(r->ochs - och, och_step), kchs = (unsigned)least(r->ichs - kch, kch_step);
                    loop_send(l->g, STREAM_B, NULL, FUNCT_MVIN2, r->weights + weight_offset(r, (uint64_t)och, (uint64_t)krow, (uint64_t)kcol, (uint64_t)kch) * l->element,
                              operand_word(b_address(l, och, krow, kcol, kch), r->weight_0132 ? kchs : ochs, r->weight_0132 ? ochs : kchs));
                }
}

// --- products

typedef struct Weights { // one block of them
    int64_t och, krow, kcol, kch;
    int fresh; // not in the array yet
} Weights;

// Between the pixels of a dilated input lie zeros, which nothing multiplies.
static int falls_between(const ConvLoop *l, const Weights *w, int64_t orow, int64_t ocol) {
    const ConvRegisters *r = &l->r;
    return r->dilated && (((w->krow * r->kernel_dilation + orow - r->upad) & 1) || ((w->kcol * r->kernel_dilation + ocol - r->lpad) & 1));
}

static void multiply_run(ConvLoop *l, const LoopAfter *after, Weights *w, int64_t b, int64_t orow, int64_t ocol) {
    const ConvRegisters *r = &l->r;
    int64_t krow = r->rotated ? r->krows - 1 - w->krow : w->krow, kcol = r->rotated ? r->kcols - 1 - w->kcol : w->kcol;
    int64_t row = undilated(l, orow * r->stride + w->krow * r->kernel_dilation), col = undilated(l, ocol * r->stride + w->kcol * r->kernel_dilation);
    unsigned m = (unsigned)(r->input_3120 ? least(r->batches - b, l->dim) : undilated(l, least(r->ocols - ocol, l->dim << r->dilated)));
    unsigned n = (unsigned)least(r->ochs - w->och, l->dim);
    unsigned k = (unsigned)(least(r->kcols - w->kcol, r->pixels_per_row) * least(r->ichs - w->kch, l->dim));
    uint32_t weights = w->fresh ? b_address(l, w->och, krow, kcol, w->kch) : GARBAGE;
    loop_send(l->g, STREAM_EXECUTE, after, FUNCT_PRELOAD, operand_word(weights, n, k), operand_word(c_address(l, b, w->och, orow, ocol) | ACCUMULATE_BIT, n, m));
    loop_send(l->g, STREAM_EXECUTE, after, w->fresh ? FUNCT_COMPUTE_PRELOADED : FUNCT_COMPUTE_ACCUMULATED,
              operand_word(a_address(l, b, w->kch, row, col), k, m), operand_word(GARBAGE, n, m));
    w->fresh = 0;
}

static void multiply_weights(ConvLoop *l, const LoopAfter *after, Weights w) {
    const ConvRegisters *r = &l->r;
    int64_t run = r->input_3120 ? 1 : l->dim << r->dilated;
    for (int64_t b = 0; b < r->batches; b += r->input_3120 ? l->dim : 1)
        for (int64_t orow = 0; orow < r->orows; orow++)
            for (int64_t ocol = 0; ocol < r->ocols;) {
                int skipped = falls_between(l, &w, orow, ocol);
                if (!skipped) multiply_run(l, after, &w, b, orow, ocol);
                ocol += skipped ? 1 : run;
            }
}

static void multiply(ConvLoop *l) {
    const ConvRegisters *r = &l->r;
    LoopAfter after = {{0}};
    for (int stream = STREAM_A; stream <= STREAM_D; stream++) after.sent[stream] = l->g->trace.sent[stream];
    if (r->input_3120) {
        uint64_t strides_only = (uint64_t)(l->rows.size * l->cols.size) << 16 | 1 << 7;
        loop_send(l->g, STREAM_EXECUTE, &after, FUNCT_CONFIG, strides_only, (uint64_t)l->outputs << 48);
    }
    for (int64_t och = 0; och < r->ochs; och += l->dim)
        for (int64_t krow = 0; krow < r->krows; krow++)
            for (int64_t kcol = 0; kcol < r->kcols; kcol += r->pixels_per_row)
                for (int64_t kch = 0; kch < r->ichs; kch += l->dim) multiply_weights(l, &after, (Weights){och, krow, kcol, kch, 1});
}

// --- results

static void store_pixels(ConvLoop *l, const LoopAfter *after) {
    const ConvRegisters *r = &l->r;
    for (int64_t b = 0; b < r->batches; b++)
        for (int64_t orow = 0; orow < r->orows; orow++)
            for (int64_t ocol = 0; ocol < r->ocols; ocol += l->dim)
                for (int64_t och = 0; och < r->ochs; och += l->dim) {
                    int64_t offset = r->out_1203 ? ((orow * r->out_col_dim + ocol) * r->batch_size + b) * r->out_channels + och
                                                 : ((b * r->out_row_dim + orow) * r->out_col_dim + ocol) * r->out_stride + och;
                    loop_send(l->g, STREAM_C, after, FUNCT_MVOUT, r->output + (uint64_t)offset * l->element,
                              operand_word(c_address(l, b, och, orow, ocol), (unsigned)least(r->ochs - och, l->dim), (unsigned)least(r->ocols - ocol, l->dim)));
                }
}

static void store_pooled(ConvLoop *l, const LoopAfter *after) {
    const ConvRegisters *r = &l->r;
    uint64_t store = UINT64_C(0xffffffff) << 32 | ((uint64_t)r->out_stride * l->element), activation = (uint64_t)r->activation << 2 | 2; // the scale stays
    uint64_t sizes = (uint64_t)r->ocols << 56 | (uint64_t)r->orows << 48 | (uint64_t)r->pocols << 40 | (uint64_t)r->porows << 32;
    uint64_t windows = (uint64_t)r->pool_out_col_dim << 24 | (uint64_t)r->plpad << 10 | (uint64_t)r->pupad << 8 | (uint64_t)r->pool_size << 6 | (uint64_t)r->pool_stride << 4;
    loop_send(l->g, STREAM_C, after, FUNCT_CONFIG, sizes | windows | activation, store);
    for (int64_t b = 0; b < r->batches; b++)
        for (int64_t och = 0; och < r->ochs; och += l->dim) {
            int64_t offset = b * r->pool_out_row_dim * r->pool_out_col_dim * r->out_stride + och;
            loop_send(l->g, STREAM_C, after, FUNCT_MVOUT, r->output + (uint64_t)offset * l->element,
                      operand_word(c_address(l, b, och, 0, 0), (unsigned)least(r->ochs - och, l->dim), 0));
        }
    loop_send(l->g, STREAM_C, after, FUNCT_CONFIG, activation, store);
}

void loop_conv(Gemmini *g, uint64_t rs1, uint64_t rs2) {
    LoopState *s = &g->loop_conv;
    loop_begin(g, s, LOOP_REGISTERS, NAME);
    ConvLoop l = {.g = g, .r = conv_registers(s, rs1, rs2, g->dim), .dim = g->dim, .wide = g->max_cols, .element = g->element_bytes};
    place(&l);
    if (l.r.bias) load_bias(&l);
    if (l.r.weights) load_weights(&l); // more urgent than the input
    if (l.r.input) load_input(&l);
    multiply(&l);
    LoopAfter after = {{0}};
    after.sent[STREAM_EXECUTE] = g->trace.sent[STREAM_EXECUTE];
    if (l.r.output && l.r.no_pool) store_pixels(&l, &after);
    if (l.r.output && !l.r.no_pool) store_pooled(&l, &after);
    loop_end(s, l.r.output != 0);
}
